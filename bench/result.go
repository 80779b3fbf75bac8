package bench

import "time"

// Result is the result of a run. Its JSON is the output of `comet bench run --json`.
type Result struct {
	Plan        Plan      `json:"plan"`
	Began       time.Time `json:"began"`
	Seconds     float64   `json:"seconds"`     // of the whole run
	Interrupted bool      `json:"interrupted"` // ended early, on request
	Workers     int       `json:"workers"`     // processes that held subscribers
	Version     string    `json:"version"`     // of the tool

	Arrival  Arrival  `json:"arrival"`
	Publish  Publish  `json:"publish"`
	Delivery Delivery `json:"delivery"`
	Trouble  Trouble  `json:"trouble"`
	// Resume is the time between a disconnect, by churn or by the server, and the
	// reconnected subscriber.
	Resume Latency `json:"resume"`
	Cost   Cost    `json:"cost"`

	// Warnings are sentences on what makes the numbers less reliable, like a
	// saturated generator.
	Warnings []string `json:"warnings,omitempty"`
	Timeline []Second `json:"timeline"`
}

// Arrival is about the connects of the subscribers.
type Arrival struct {
	Subscribers int     `json:"subscribers"` // that connected
	Seconds     float64 `json:"seconds"`     // until the last one connected
	PerSecond   float64 `json:"per_second"`
}

// Publish counts the published messages.
type Publish struct {
	Acknowledged int     `json:"acknowledged"`
	Failed       int     `json:"failed"`  // refused: must not be delivered
	Unknown      int     `json:"unknown"` // no answer, in spite of retries: may be delivered
	Retried      int     `json:"retried"`
	PerSecond    float64 `json:"per_second"`
	Latency      Latency `json:"latency"` // between the time it was due and the answer
}

// Delivery is about the received messages.
type Delivery struct {
	Expected  int64   `json:"expected"`
	Received  int64   `json:"received"` // distinct
	Seconds   float64 `json:"seconds"`  // between the first publish and the last delivery
	PerSecond float64 `json:"per_second"`
	Bytes     int64   `json:"bytes"`    // received by the subscribers, including HTTP's framing
	Requests  int64   `json:"requests"` // sent by the subscribers
	// Per delivery.
	BytesEach    float64 `json:"bytes_each"`
	RequestsEach float64 `json:"requests_each"`
	// Latency is the time between the moment at which a message was due to be
	// published and the end of the read that received it. A late publisher makes
	// latencies longer: it does not hide them (coordinated omission).
	Latency Latency `json:"latency"`
}

// Latency is a distribution, in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
	// Curve is the latency at rising percentages, for a chart; nil without values.
	Curve []Quantile `json:"curve,omitempty"`
}

// Quantile is the latency that Percent of the values do not exceed.
type Quantile struct {
	Percent float64 `json:"percent"`
	MS      float64 `json:"ms"`
}

// Trouble counts faults and errors. Its zero value is a perfect
// run.
type Trouble struct {
	Lost       int64 `json:"lost"` // acknowledged, but not received by a subscriber of the channel
	Repeated   int64 `json:"repeated"`
	OutOfOrder int64 `json:"out_of_order"` // received after a later one of the same publisher
	Unknown    int64 `json:"unknown"`      // messages that this run did not publish
	Orders     int   `json:"orders"`       // channels with different orders of messages at different subscribers
	// Gaps is the number of comet.gap events received: losses that the server reported.
	Gaps int64 `json:"gaps"`
	// Errors of connections, requests and publishes by kind, like "refused",
	// "reset", "closed", "timeout", "status 503".
	Errors map[string]int64 `json:"errors,omitempty"`
}

// Cost is the resources that server, store and generator used. Zero: not measured.
type Cost struct {
	ConnectMicros    float64 `json:"connect_us"`         // server CPU per connect
	IdleKiB          float64 `json:"idle_kib"`           // growth of the server's memory per subscriber, after Settle
	DeliveryMicros   float64 `json:"delivery_us"`        // server CPU per delivery
	StoreMicros      float64 `json:"store_us"`           // CPU of the store per delivery
	GeneratorMicros  float64 `json:"generator_us"`       // CPU of this tool, all its processes, per delivery
	GeneratorKiB     float64 `json:"generator_kib"`      // memory of this tool per subscriber, after Settle
	GeneratorLoad    float64 `json:"generator_load"`     // its CPU during the delivery, as a share of one core per worker: 1 is saturated
	ServerCPUSeconds float64 `json:"server_cpu_seconds"` // during the delivery
}

// Second is one second of the run.
type Second struct {
	At         float64 `json:"at"`    // seconds since the start
	Phase      string  `json:"phase"` // arrive, settle, deliver, finish
	Connected  int     `json:"connected"`
	Connects   int     `json:"connects"` // and reconnects
	Published  int     `json:"published"`
	Deliveries int64   `json:"deliveries"`
	Bytes      int64   `json:"bytes"`
	Requests   int64   `json:"requests"`
	Errors     int64   `json:"errors"`
	Missing    int64   `json:"missing"` // not received yet, though later ones were
	P50        float64 `json:"p50_ms"`  // latencies of this second
	P90        float64 `json:"p90_ms"`
	P99        float64 `json:"p99_ms"`
	P999       float64 `json:"p999_ms"`
	Max        float64 `json:"max_ms"`
	ServerCPU  float64 `json:"server_cpu"` // cores
	ServerMiB  float64 `json:"server_mib"`
}
