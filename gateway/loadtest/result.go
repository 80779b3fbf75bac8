package loadtest

import "time"

// Result is what a Run found out.
type Result struct {
	Subscribers    int     `json:"subscribers"`
	ConnectSeconds float64 `json:"connect_seconds"` // until the last subscriber was in

	// Of the server. Zero if Options.Server names no process.
	ConnectCPUMicros float64 `json:"connect_cpu_us"` // CPU a subscriber's arrival
	MemoryKiB        float64 `json:"memory_kib"`     // growth of resident memory a subscriber, after Settle

	Messages   int     `json:"messages"`   // published, each answered with success
	Deliveries int     `json:"deliveries"` // distinct; all is Messages times Subscribers
	Seconds    float64 `json:"seconds"`    // from the first publish to the last delivery
	PerSecond  float64 `json:"deliveries_per_second"`

	// CPU a delivery; of the server, of what is behind it, of this generator.
	CPUMicros          float64 `json:"cpu_us"`
	StoreCPUMicros     float64 `json:"store_cpu_us"`
	GeneratorCPUMicros float64 `json:"generator_cpu_us"`

	Latency Latency `json:"latency"`
	Trouble Trouble `json:"trouble"`

	connectCPU   time.Duration
	memory       int64 // bytes
	deliveryCost cost
}

// Latency is publish-to-receive, from just before the publish request to the
// end of the read that brought the message, in milliseconds.
type Latency struct {
	P50MS float64 `json:"p50_ms"`
	P99MS float64 `json:"p99_ms"`
	MaxMS float64 `json:"max_ms"`
}

// Trouble counts what should not have happened. Its zero value is a perfect
// run.
type Trouble struct {
	Missing    int `json:"missing"`    // deliveries that never came
	Repeated   int `json:"repeated"`   // that came again
	Disordered int `json:"disordered"` // that came after a later message of the same publisher
	Unknown    int `json:"unknown"`    // of messages that this run did not publish
	Closed     int `json:"closed"`     // streams or connections that the server ended
	// Orders is in how many other orders than the first subscriber's the
	// messages came, among the subscribers that got all.
	Orders int `json:"orders"`
}

// finish derives what is a cost a subscriber or a delivery.
func (r *Result) finish() {
	subscribers := float64(r.Subscribers)
	r.ConnectCPUMicros = micros(r.connectCPU) / subscribers
	r.MemoryKiB = float64(r.memory) / 1024 / subscribers
	if r.Deliveries == 0 {
		return
	}
	deliveries := float64(r.Deliveries)
	r.PerSecond = deliveries / r.Seconds
	r.CPUMicros = micros(r.deliveryCost.server) / deliveries
	r.StoreCPUMicros = micros(r.deliveryCost.store) / deliveries
	r.GeneratorCPUMicros = micros(r.deliveryCost.generator) / deliveries
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
