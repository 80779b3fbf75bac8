package bench

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// histogram is a distribution of times, from 1 µs to 10 minutes, to three
// digits.
type histogram struct{ *hdrhistogram.Histogram }

const longest = 10 * time.Minute

func newHistogram() histogram {
	return histogram{hdrhistogram.New(1, longest.Microseconds(), 3)}
}

// record records d. It clamps d to the range: with the clocks of two machines a
// latency may seem negative.
func (h histogram) record(d time.Duration) {
	_ = h.RecordValue(min(max(d, time.Microsecond), longest).Microseconds())
}

// flush returns the recorded times and empties h.
func (h *histogram) flush() histogram {
	taken := *h
	if taken.TotalCount() == 0 {
		return histogram{}
	}
	*h = newHistogram()
	return taken
}

// encode returns h as text, "" for an empty one.
func (h histogram) encode() string {
	if h.Histogram == nil {
		return ""
	}
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		panic(err) // it writes to memory
	}
	return string(text)
}

// merge adds the times of an encoded histogram.
func (h histogram) merge(text string) error {
	if text == "" {
		return nil
	}
	other, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return fmt.Errorf("read a histogram: %w", err)
	}
	h.Merge(other)
	return nil
}

// milliseconds returns the time that percent of the values do not exceed.
func (h histogram) milliseconds(percent float64) float64 {
	return float64(h.ValueAtQuantile(percent)) / 1e3
}

// curveTicks is the number of points of a Curve for each halving of the distance
// to 100 %.
const curveTicks = 5

// latency returns the percentiles of h.
func (h histogram) latency() Latency {
	l := Latency{Count: h.TotalCount()}
	if l.Count == 0 {
		return l
	}
	l.P50, l.P90, l.P99, l.P999 = h.milliseconds(50), h.milliseconds(90), h.milliseconds(99), h.milliseconds(99.9)
	l.Max = float64(h.Max()) / 1e3
	for _, b := range h.CumulativeDistributionWithTicks(curveTicks) {
		l.Curve = append(l.Curve, Quantile{Percent: b.Quantile, MS: float64(b.ValueAt) / 1e3})
	}
	return l
}
