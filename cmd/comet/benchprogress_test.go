package main

import (
	"strings"
	"testing"

	"comet/bench"
)

// TestProgressLines checks for a line at each phase and every five seconds.
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

// TestProgressBar checks that the line is overwritten and no longer than the terminal.
func TestProgressBar(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	p := &bar{w: &b, columns: func() int { return 45 }, plan: &bench.Plan{Subscribers: 100, Settle: 2e9, Duration: 10e9}}
	for _, s := range []bench.Second{
		{At: 1, Phase: "arrive", Connected: 25},
		{At: 2, Phase: "arrive", Connected: 100},
		{At: 3, Phase: "settle", Connected: 100},
		{At: 5, Phase: "deliver", Connected: 100, Deliveries: 80_000, P99: 2.5},
		{At: 9, Phase: "deliver", Connected: 100},
		{At: 15, Phase: "finish", Connected: 100},
	} {
		p.show(s)
	}
	p.end()
	want := []string{"",
		" 25% |##      | arrive 25 connected",
		"100% |########| arrive 100 connected",
		" 50% |####    | settle 100 connected        ",
		" 10% |        | deliver 100 connected, 80,00",
		" 50% |####    | deliver 100 connected, 0/s,",
		"100% |########| finish 100 connected, 0/s, 0",
		strings.Repeat(" ", 44), "",
	}
	for i, line := range strings.Split(b.String(), "\r") {
		if i >= len(want) || strings.TrimRight(line, " ") != strings.TrimRight(want[i], " ") {
			t.Errorf("line %d: %q", i, line)
		}
	}
}
