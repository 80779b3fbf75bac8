package gateway_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"comet/gateway"
)

// At the door pages of other origins are answered as on the long way, to each
// its own, also on a connection that polls again.
func TestCORSAtDoor(t *testing.T) {
	t.Parallel()
	if *portableFlag {
		t.Skip("without parking there is no door")
	}
	const page, other = "https://app.example", "https://other.example"
	c := overMemory(t, setup{gateway: gateway.Options{Policy: gateway.Policy{Origins: []string{page, other}}}, heartbeat: time.Second})
	n := c.nodes[0]
	c.openAt(n, "channel=c").want("ready") // opens the channel
	again := newPoller(t, n)
	for _, origin := range []string{page, "https://evil.example", other, ""} {
		header := []string{"Host", "h"}
		if origin != "" {
			header = append(header, "Origin", origin)
		}
		allow := ""
		if origin == page || origin == other {
			allow = origin
		}
		for _, target := range []string{"/v1/events?channel=c", "/v1/poll?channel=c&wait=1ms"} {
			long, short := newPoller(t, n), newPoller(t, n)
			long.bring(request{"GET", target, "", append(slices.Clone(header), "X", "twice", "X", "is not for the door")})
			want := long.whole().header
			before := n.atDoor.Load()
			short.bring(request{"GET", target, "", header})
			got := short.whole().header
			if n.atDoor.Load() == before {
				t.Errorf("%s from %q did not come in at the door", target, origin)
			}
			want.Del("Date")
			got.Del("Date")
			if !maps.EqualFunc(got, want, slices.Equal) || got.Get("Access-Control-Allow-Origin") != allow {
				t.Errorf("%s from %q: at the door %v, the long way %v", target, origin, got, want)
			}
			long.Close()
			short.Close()
		}
		again.bring(request{"GET", "/v1/poll?channel=c&wait=1ms", "", header})
		if a := again.whole(); a.header.Get("Access-Control-Allow-Origin") != allow {
			t.Errorf("polling again from %q: %v", origin, a.header)
		}
	}
}
