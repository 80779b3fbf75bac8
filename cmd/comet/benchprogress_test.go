package main

import (
	"strings"
	"testing"

	"comet/bench"
)

// TestProgressLines has a line at each phase and every five seconds.
func TestProgressLines(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	p := newProgress(&b, &bench.Plan{})
	for at := range 20 {
		s := bench.Second{At: float64(at + 1), Phase: "arrive", Connected: 1000 * (at + 1)}
		if at >= 8 {
			s = bench.Second{At: s.At, Phase: "deliver", Connected: 8000, Deliveries: 80_000, P99: 2.5, Missing: int64(at - 8)}
		}
		p.show(s)
	}
	p.end()
	const want = `   1 s  arrive  1,000 connected
   6 s  arrive  6,000 connected
   9 s  deliver 8,000 connected, 80,000/s, p99 2.5 ms, 0 missing
  14 s  deliver 8,000 connected, 80,000/s, p99 2.5 ms, 5 missing
  19 s  deliver 8,000 connected, 80,000/s, p99 2.5 ms, 10 missing
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBarShare(t *testing.T) {
	t.Parallel()
	byTime := bench.Plan{Subscribers: 100, Settle: 2e9, Duration: 10e9}
	byCount := bench.Plan{Subscribers: 100, Messages: 50}
	for name, test := range map[string]struct {
		bar    bar
		second bench.Second
		want   float64
	}{
		"arriving":           {bar{plan: &byTime}, bench.Second{Phase: "arrive", Connected: 25}, 0.25},
		"settling":           {bar{plan: &byTime, began: 5}, bench.Second{Phase: "settle", At: 6}, 0.5},
		"publishing by time": {bar{plan: &byTime, began: 10}, bench.Second{Phase: "deliver", At: 17}, 0.7},
		"publishing so many": {bar{plan: &byCount, published: 20}, bench.Second{Phase: "deliver"}, 0.4},
		"finishing":          {bar{plan: &byTime}, bench.Second{Phase: "finish"}, 1},
	} {
		if got := test.bar.share(&test.second); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
