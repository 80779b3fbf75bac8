package redisbroker

import "testing"

// Pub/sub has no databases, so the names of channels differ. Those of database 0 are
// also used by nodes of earlier versions.
func TestRelayNamesByDatabase(t *testing.T) {
	t.Parallel()
	zero, one, eleven := newKeys("comet", 0), newKeys("comet", 1), newKeys("comet", 11)
	if got := zero.live("a"); got != "comet:{a}:live" {
		t.Errorf("database 0 relays at %q", got)
	}
	for _, k := range []keys{zero, one, eleven} {
		for _, other := range []keys{zero, one, eleven, newKeys("comet:1", 0)} {
			channel, ok := k.channel(other.live("a"))
			if same := k == other; ok != same || ok && channel != "a" {
				t.Errorf("%+v takes %q for channel %q, %v", k, other.live("a"), channel, ok)
			}
			if k != other && k.probe(1, 2) == other.probe(1, 2) {
				t.Errorf("%+v and %+v probe at %q", k, other, k.probe(1, 2))
			}
		}
	}
}
