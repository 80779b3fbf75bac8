package gateway_test

import (
	"strings"
	"testing"
)

// The newest messages are as many as were asked for, or fewer with 4 MiB at most:
// then the stream and the poll say that there are more. No answer of a poll is
// much larger than 256 KiB.
func TestLastIsBounded(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		const size, total = 50_000, 100
		data := `"` + strings.Repeat("x", size-2) + `"`
		for range total {
			c.publish("c", data)
		}
		const fit = (4 << 20) / size
		for query, want := range map[string]int{"last=10": 10, "last=1000": fit} {
			p := c.poll("channel=c&wait=0&" + query)
			if p.More != (want == fit) {
				t.Errorf("%s: more is %t", query, p.More)
			}
			got := 0
			for more := true; more; more = len(p.Messages) > 0 {
				if n := len(p.Messages); n > 256<<10/size+1 {
					t.Errorf("%s: %d messages at once", query, n)
				}
				got += len(p.Messages)
				p = c.poll("channel=c&wait=0&cursor=" + p.Cursor)
			}
			if got != want {
				t.Errorf("%s: %d messages, want %d", query, got, want)
			}
			if ready := c.open("channel=c&" + query).block(); strings.Contains(ready, `"more":true`) != (want == fit) {
				t.Errorf("%s: %s", query, ready)
			}
		}
	})
}
