package report

import (
	"math"
	"testing"

	"comet/bench"
)

func TestNumber(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]string{
		0: "0", 1: "1", 0.001234: "0.00123", 0.5: "0.5", 9.996: "10", 31.24: "31.2", 99.96: "100", 312.4: "312",
		999.4: "999", 999.6: "1,000", 12345.6: "12,346", 1e6: "1,000,000", -1234: "-1,234", -0.25: "-0.25", math.Inf(1): "+Inf",
	} {
		if got := number(x); got != want {
			t.Errorf("number(%v) = %s, want %s", x, got, want)
		}
	}
}

func TestSizeText(t *testing.T) {
	t.Parallel()
	for n, want := range map[float64]string{
		0: "0 B", 145.23: "145 B", 10_000: "10,000 B", 10_240: "10 KiB", 1_763_668: "1.68 MiB", 3 << 30: "3 GiB",
	} {
		if got := sizeText(n); got != want {
			t.Errorf("sizeText(%v) = %s, want %s", n, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]bench.Second{
		"0 connected":                   {Phase: "arrive"},
		"12,000 connected, 1 error":     {Phase: "arrive", Connected: 12_000, Errors: 1},
		"100 connected, 0/s, 0 missing": {Phase: "deliver", Connected: 100},
		"100 connected, 5,000/s, p99 2.35 ms, 3 missing, 2 errors": {
			Phase: "finish", Connected: 100, Deliveries: 5000, P99: 2.345, Missing: 3, Errors: 2},
	} {
		if got := Line(&s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
