//go:build linux

package main

import (
	"strings"
	"testing"

	"comet/bench"
)

func TestTable(t *testing.T) {
	results := func(values ...float64) (all []*bench.Result) {
		for _, v := range values {
			all = append(all, &bench.Result{Cost: bench.Cost{DeliveryMicros: v}, Delivery: bench.Delivery{PerSecond: 1000 * v}})
		}
		return all
	}
	chosen := []scenario{{name: "a", rows: []row{
		{"cost", cpu, []bound{atMost(0.5).times(nchan), atMost(1.2).times(bare)}},
		{"speed", perSecond, []bound{atLeast(2).times(nchan)}},
		{"cost again", cpu, []bound{atMost(3.5), below(nchan)}},
		{"no target", cpu, nil},
	}}, {name: "lossy", rows: []row{{"cost", cpu, []bound{below(nchan)}}}},
		{name: "not run", rows: []row{{"cost", cpu, []bound{atMost(1)}}}}}
	lossy := results(1)
	lossy[0].Trouble.Lost = 3
	all := measurements{
		"a":     {comet: results(9, 3, 4), nchan: results(7, 9), bare: results(3)},
		"lossy": {comet: lossy, nchan: results(9)},
	}
	var got strings.Builder
	writeTable(&got, chosen, all)
	const want = `| what | Comet | Nchan | bare write(2) | target | met |
|---|---|---|---|---|---|
| cost | 4.00 | 8.00 | 3.00 | ≤ 0.5 × Nchan, ≤ 1.2 × bare write(2) | no |
| speed | 4,000 | 8,000 | 3,000 | ≥ 2 × Nchan | no |
| cost again | 4.00 | 8.00 | 3.00 | ≤ 3.5, < Nchan | no |
| no target | 4.00 | 8.00 | 3.00 |  |  |
| cost | 1.00 | 9.00 |  | < Nchan | no: see below |

lossy, Comet: 3 deliveries missing.
`
	if got.String() != want {
		t.Errorf("table:\n%s\nwant:\n%s", got.String(), want)
	}
}

func TestBoundHolds(t *testing.T) {
	others := map[string]float64{nchan: 10}
	for _, test := range []struct {
		bound bound
		value float64
		want  bool
	}{
		{atMost(2), 2, true},
		{atMost(2), 2.1, false},
		{atMost(0.5).times(nchan), 5, true},
		{atMost(0.5).times(nchan), 6, false},
		{atLeast(2).times(nchan), 20, true},
		{atLeast(2).times(nchan), 19, false},
		{below(nchan), 9.9, true},
		{below(nchan), 10, false},
	} {
		if got := test.bound.holds(test.value, others); got != test.want {
			t.Errorf("%v %v: %v", test.value, test.bound, got)
		}
	}
}

func TestNumber(t *testing.T) {
	for x, want := range map[float64]string{0.654: "0.65", 9.99: "9.99", 32.46: "32.5", 107.4: "107", 1000: "1,000", 199298.4: "199,298", 1132682: "1,132,682"} {
		if got := number(x); got != want {
			t.Errorf("%v: %q, want %q", x, got, want)
		}
	}
}
