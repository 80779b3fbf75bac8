package report

import (
	"math"
	"time"

	"comet/bench"
)

// sample is the result of a large run in which all was measured.
func sample() *bench.Result {
	r := &bench.Result{
		Plan: bench.Plan{
			Target: bench.Target{Preset: "comet", Nodes: []string{
				"http://127.0.0.1:8081", "http://127.0.0.1:8082", "http://127.0.0.1:8083", "http://127.0.0.1:8084", "http://127.0.0.1:8085"}},
			Subscribers: 100_000, Channels: 1000, Transport: bench.SSE, Interval: time.Second, Churn: 0.01,
			Rate: 500, Duration: 30 * time.Second, Publishers: 8, Size: 100, Patience: 5 * time.Second, Seed: 1,
		},
		Began: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC), Seconds: 76.4, Workers: 7, Version: "v1.0.0",
		Arrival:  bench.Arrival{Subscribers: 100_000, Seconds: 40.9, PerSecond: 2445},
		Publish:  bench.Publish{Acknowledged: 15_000, PerSecond: 500.2, Retried: 3, Latency: distributionOf(15_000, 0.4)},
		Resume:   distributionOf(30_112, 2.1),
		Timeline: timelineOf(76),
		Delivery: bench.Delivery{
			Expected: 1_500_000, Received: 1_500_000, Seconds: 30.1, PerSecond: 49_833, Bytes: 217_500_000, Requests: 30_112,
			BytesEach: 145, RequestsEach: 0.0201, Latency: distributionOf(1_500_000, 3.1),
		},
		Trouble: bench.Trouble{Errors: map[string]int64{"reset": 12, "status 503": 118}},
		Cost: bench.Cost{ConnectMicros: 83.7, IdleKiB: 0.742, DeliveryMicros: 7.88, ServerCPUSeconds: 11.82,
			StoreMicros: 0.31, GeneratorMicros: 4.02, GeneratorKiB: 1.61, GeneratorLoad: 0.62},
	}
	return r
}

// distributionOf has the median p50 and a long tail.
func distributionOf(count int64, p50 float64) bench.Latency {
	at := func(percent float64) float64 {
		nines := -math.Log10(1 - percent/100)
		return p50 * (0.6 + 1.2*nines + 0.8*nines*nines)
	}
	l := bench.Latency{Count: count, P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: at(99.9999)}
	for nines := 0.0; nines < math.Log10(float64(count)); nines += 0.1 {
		percent := 100 * (1 - math.Pow(10, -nines))
		l.Curve = append(l.Curve, bench.Quantile{Percent: percent, MS: at(percent)})
	}
	l.Curve = append(l.Curve, bench.Quantile{Percent: 100, MS: l.Max})
	return l
}

// timelineOf returns n seconds: half of them arrival, then quiet, then load.
func timelineOf(n int) (timeline []bench.Second) {
	arrival, settle := n/2, n/2+4
	for i := range n {
		wave := math.Sin(float64(i)/3) * math.Sin(float64(i))
		s := bench.Second{At: float64(i + 1), Phase: "deliver", Connected: 100_000, Connects: 1000, Published: 500, Deliveries: 50_000 + int64(900*wave),
			P50: 3.1 + wave/2, P90: 8 + wave, P99: 18 + 4*wave, P999: 40 + 20*wave, Max: 90 + 60*wave, ServerCPU: 0.5 + wave/20, ServerMiB: 190 + float64(i%5)}
		switch {
		case i < arrival:
			s = bench.Second{At: s.At, Phase: "arrive", Connected: 100_000 * (i + 1) / arrival, Connects: 100_000 / arrival, ServerCPU: 0.7 + wave/10,
				ServerMiB: 40 + 150*float64(i+1)/float64(arrival), Errors: int64(i % 7 / 6 * 4)}
		case i < settle:
			s = bench.Second{At: s.At, Phase: "settle", Connected: 100_000, ServerMiB: 190}
		case i == n-1:
			s.Phase, s.Published, s.Deliveries = "finish", 0, 1200
		}
		timeline = append(timeline, s)
	}
	return timeline
}

// small is a run with few measurements.
func small() *bench.Result {
	return &bench.Result{
		Plan: bench.Plan{Target: bench.Target{Preset: "custom", Nodes: []string{"http://127.0.0.1:8080"}}, Subscribers: 1, Channels: 1,
			Transport: bench.ShortPoll, Interval: 500 * time.Millisecond, Messages: 10, Publishers: 1, Size: 64},
		Began: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC), Seconds: 1.04, Workers: 1, Version: "devel", Interrupted: true,
		Arrival:  bench.Arrival{Subscribers: 1, Seconds: 0.002, PerSecond: 500},
		Publish:  bench.Publish{Acknowledged: 10, PerSecond: 2000},
		Delivery: bench.Delivery{Expected: 10, Received: 7, Seconds: 0.5, PerSecond: 14, Bytes: 12_345_678, Requests: 3, BytesEach: 1_763_668, RequestsEach: 0.4286},
		Trouble:  bench.Trouble{Lost: 3, Repeated: 1, OutOfOrder: 2, Orders: 1, Unknown: 4, Gaps: 1},
		Warnings: []string{"A worker was saturated."},
		Timeline: []bench.Second{{At: 1, Phase: "deliver", Connected: 1, Deliveries: 7}},
	}
}
