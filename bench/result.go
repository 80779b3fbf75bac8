package bench

import "time"

// Result is what a run found out. Its JSON is what `comet bench --json` prints.
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
	// Resume is the time from a disconnect, by churn or by the server, until
	// the subscriber is in again.
	Resume Latency `json:"resume"`
	Cost   Cost    `json:"cost"`

	// Warnings are sentences on what makes the numbers less than they seem, as
	// a saturated generator.
	Warnings []string `json:"warnings,omitempty"`
	Timeline []Second `json:"timeline"`
}

// Arrival is how the subscribers came in.
type Arrival struct {
	Subscribers int     `json:"subscribers"` // that were in
	Seconds     float64 `json:"seconds"`     // until the last one was
	PerSecond   float64 `json:"per_second"`
}

// Publish is what was published.
type Publish struct {
	Acknowledged int     `json:"acknowledged"`
	Failed       int     `json:"failed"`  // refused, so never to be delivered
	Unknown      int     `json:"unknown"` // neither, in spite of repeats: delivered or not is right
	Retried      int     `json:"retried"`
	PerSecond    float64 `json:"per_second"`
	Latency      Latency `json:"latency"` // from the time it was due to the answer
}

// Delivery is what was received.
type Delivery struct {
	Expected  int64   `json:"expected"`
	Received  int64   `json:"received"` // distinct
	Seconds   float64 `json:"seconds"`  // from the first publish to the last delivery
	PerSecond float64 `json:"per_second"`
	Bytes     int64   `json:"bytes"`    // that the subscribers' connections brought, all of HTTP
	Requests  int64   `json:"requests"` // that the subscribers sent
	// Of one delivery.
	BytesEach    float64 `json:"bytes_each"`
	RequestsEach float64 `json:"requests_each"`
	// Latency is from the time a message was due to be published to the end of
	// the read that brought it: a publisher that is late makes it longer, not
	// fewer (coordinated omission).
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
	// Curve is the latency at rising shares, for drawing; nil for none.
	Curve []Quantile `json:"curve,omitempty"`
}

// Quantile is the latency that Percent of 100 do not exceed.
type Quantile struct {
	Percent float64 `json:"percent"`
	MS      float64 `json:"ms"`
}

// Trouble counts what should not have happened. Its zero value is a perfect
// run.
type Trouble struct {
	Lost       int64 `json:"lost"` // acknowledged, and never came to a subscriber of the channel
	Repeated   int64 `json:"repeated"`
	OutOfOrder int64 `json:"out_of_order"` // came after a later one of the same publisher
	Unknown    int64 `json:"unknown"`      // of messages that this run did not publish
	Orders     int   `json:"orders"`       // channels whose subscribers saw different orders of publishers' messages
	// Gaps is how many comet.gap events were received: losses that were told.
	Gaps int64 `json:"gaps"`
	// Errors of connections, requests and publishes by kind, as "refused",
	// "reset", "closed", "timeout", "status 503".
	Errors map[string]int64 `json:"errors,omitempty"`
}

// Cost is what the run took of server, store and generator. Zero: not measured.
type Cost struct {
	ConnectMicros    float64 `json:"connect_us"`         // server CPU an arrival
	IdleKiB          float64 `json:"idle_kib"`           // growth of the server's memory a subscriber, after Settle
	DeliveryMicros   float64 `json:"delivery_us"`        // server CPU a delivery
	StoreMicros      float64 `json:"store_us"`           // of the store
	GeneratorMicros  float64 `json:"generator_us"`       // of this tool, all its processes
	GeneratorKiB     float64 `json:"generator_kib"`      // memory of this tool a subscriber, after Settle
	GeneratorLoad    float64 `json:"generator_load"`     // its CPU while delivering, of one core for each worker: 1 is saturated
	ServerCPUSeconds float64 `json:"server_cpu_seconds"` // while delivering
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
	Missing    int64   `json:"missing"` // holes seen so far that may still be filled
	P50        float64 `json:"p50_ms"`  // of publish-to-receive in this second
	P90        float64 `json:"p90_ms"`
	P99        float64 `json:"p99_ms"`
	P999       float64 `json:"p999_ms"`
	Max        float64 `json:"max_ms"`
	ServerCPU  float64 `json:"server_cpu"` // cores
	ServerMiB  float64 `json:"server_mib"`
}
