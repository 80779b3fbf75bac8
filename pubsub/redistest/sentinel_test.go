package redistest

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

// client reaches the primary by asking the Sentinels, as Comet does.
func (s *Sentinel) client(t *testing.T) redis.UniversalClient {
	first := s.servers[0].Options()
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: s.Addresses(), MasterName: s.Master(), Password: first.Password, TLSConfig: first.TLSConfig,
	})
	t.Cleanup(func() { client.Close() })
	return client
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	s := StartSentinel(t, Replicas(2), TLS(), Password("secret"), User("other", "word", "+@all"))
	old := s.Primary()
	if old != s.Servers()[0] {
		t.Errorf("the primary is %s, not the first server", old.Addr())
	}
	if n := len(s.Addresses()); n != 3 || n != len(s.Sentinels()) {
		t.Errorf("%d addresses of %d Sentinels", n, len(s.Sentinels()))
	}
	if err := s.client(t).Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, replica := range s.Servers()[1:] {
		old.AwaitReplica(replica)
	}
	primary := s.Failover()
	if primary == old {
		t.Error("still the old primary")
	}
	if got := primary.Do("GET", "key"); got != "value" {
		t.Errorf("the new primary has %v", got)
	}
	for _, other := range s.Servers() {
		if other != primary {
			primary.AwaitReplica(other) // the Sentinels see to it, the old primary included
		}
	}
}

func TestSentinelCrash(t *testing.T) {
	t.Parallel()
	s := StartSentinel(t, Password("secret"))
	old, replica := s.Servers()[0], s.Servers()[1]
	old.Do("SET", "key", "kept")
	old.KillLosing(func() { old.Do("SET", "key", "lost") }, replica)
	if primary := s.AwaitPrimaryOther(old); primary != replica {
		t.Fatalf("%s was promoted", primary.Addr())
	}
	if got := s.client(t).Get(t.Context(), "key").Val(); got != "kept" {
		t.Errorf("got %q", got)
	}
	s.Sentinels()[0].Kill()
	old.Restart()
	s.Primary().AwaitReplica(old)
	s.Sentinels()[0].Restart()
	if primary := s.Primary(); primary != replica {
		t.Errorf("a Sentinel that came back says %s", primary.Addr())
	}
}
