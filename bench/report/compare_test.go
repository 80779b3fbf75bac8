package report

import (
	"strings"
	"testing"

	"comet/bench"
)

// rows is a comparison as it comes out.
func rows() []Row {
	return []Row{
		{bench.ShortPoll, 100, 1.0, 0.5, 312, 95.1, 0.095, 498, 991, 0},
		{bench.LongPoll, 100, 2.02, 1.01, 390, 31.4, 0.0063, 0.71, 2.3, 0},
		{bench.SSE, 100, 0, 0, 161, 12.2, 0.0024, 0.52, 1.9, 0},
		{bench.ShortPoll, 1000, 1.0, 0.5, 312, 83.2, 0.832, 503, 996, 0},
		{bench.LongPoll, 1000, 2.01, 1.005, 390, 25.8, 0.052, 5.9, 14.2, 0},
		{bench.SSE, 1000, 0, 0, 161, 8.13, 0.0163, 2.9, 6.5, 2},
	}
}

func TestComparison(t *testing.T) {
	t.Parallel()
	const want = `100 clients                     short-poll  poll   sse
requests per client and second           1  2.02     0
requests per delivery                  0.5  1.01     0
bytes per delivery, B                  312   390   161
server CPU per delivery, µs           95.1  31.4  12.2
server CPU, % of a core                9.5  0.63  0.24
latency p50, ms                        498  0.71  0.52
latency p99, ms                        991   2.3   1.9
messages lost                            0     0     0

1,000 clients                   short-poll  poll   sse
requests per client and second           1  2.01     0
requests per delivery                  0.5     1     0
bytes per delivery, B                  312   390   161
server CPU per delivery, µs           83.2  25.8  8.13
server CPU, % of a core               83.2   5.2  1.63
latency p50, ms                        503   5.9   2.9
latency p99, ms                        996  14.2   6.5
messages lost                            0     0     2
`
	var b strings.Builder
	if err := WriteComparison(&b, rows()); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestComparisonMarkdown has no CPU measured, so it is not mentioned, and no
// delivery in one run, so that has no latency.
func TestComparisonMarkdown(t *testing.T) {
	t.Parallel()
	const want = `| transport | clients | requests per client and second | requests per delivery | bytes per delivery, B | latency p50, ms | latency p99, ms | messages lost |
|---|--:|--:|--:|--:|--:|--:|--:|
| poll | 100 | 2.02 | 1.01 | 390 | 0.71 | 2.3 | 0 |
| sse | 1,000 | 0 | 0 | – | – | – | 7 |
`
	var b strings.Builder
	if err := WriteComparisonMarkdown(&b, []Row{
		{bench.LongPoll, 100, 2.02, 1.01, 390, 0, 0, 0.71, 2.3, 0},
		{Transport: bench.SSE, Subscribers: 1000, Lost: 7},
	}); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNewRow(t *testing.T) {
	t.Parallel()
	r := sample()
	r.Seconds, r.Delivery.Seconds, r.Delivery.Requests, r.Cost.ServerCPUSeconds, r.Trouble.Lost = 40, 20, 8_000_000, 5, 3
	want := Row{bench.SSE, 100_000, 2, r.Delivery.RequestsEach, 145, 7.88, 0.25, r.Delivery.Latency.P50, r.Delivery.Latency.P99, 3}
	if got := NewRow(r); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := NewRow(&bench.Result{}); got != (Row{}) {
		t.Errorf("%+v of nothing", got)
	}
}
