package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// The coordinator and a worker speak NDJSON: the coordinator sends orders, the
// worker replies. A worker begins with some Asks for the time and a Hello, and
// ends with Final, or with Failed at any time.

// protocolVersion changes whenever an order or a reply means something else.
const protocolVersion = 1

// order is a line from the coordinator. One of its fields is set.
type order struct {
	Time   instant `json:"time,omitempty"` // the answer to Ask: what the coordinator's clock says
	Share  *share  `json:"share,omitempty"`
	Arrive bool    `json:"arrive,omitempty"` // let the subscribers in
	Began  instant `json:"began,omitempty"`  // when publishing begins
	Tick   *tick   `json:"tick,omitempty"`
	Finish *totals `json:"finish,omitempty"` // everything is published
	Stop   bool    `json:"stop,omitempty"`   // send Final and end
}

// tick asks for a report.
type tick struct {
	Number int  `json:"number"`
	Memory bool `json:"memory,omitempty"` // with the worker's memory, which takes a moment to find out
}

// share is what a worker has to do.
type share struct {
	Plan     Plan     `json:"plan"`
	Token    string   `json:"token,omitempty"` // which the plan's JSON leaves out
	Headers  []string `json:"headers,omitempty"`
	Run      uint32   `json:"run"`
	Nodes    []node   `json:"nodes"`
	First    int      `json:"first"` // the share is subscribers First to First+Count-1
	Count    int      `json:"count"`
	Source   string   `json:"source,omitempty"` // the address that connections to loopback come from
	Arriving int      `json:"arriving"`         // how many may be on their way in at a time
}

// validate keeps a coordinator's mistake from being the worker's crash.
func (s *share) validate() error {
	if err := s.Plan.Validate(); err != nil {
		return fmt.Errorf("share: %w", err)
	}
	if len(s.Nodes) == 0 || s.First < 0 || s.Count < 1 || s.Count > s.Plan.Subscribers || s.Arriving < 1 {
		return errors.New("share: there are no nodes, or no subscribers, in it")
	}
	return nil
}

// totals is what was published.
type totals struct {
	Issued []int    `json:"issued"` // by publisher: of how many messages it had the turn
	Exempt []exempt `json:"exempt,omitempty"`
}

// exempt is a message that was not published, or maybe not.
type exempt struct {
	Channel   uint32 `json:"c"`
	Publisher uint32 `json:"p"`
	Sequence  uint32 `json:"s"`
}

// reply is a line from a worker. One of its fields is set.
type reply struct {
	Ask    bool    `json:"ask,omitempty"` // what time is it?
	Hello  *hello  `json:"hello,omitempty"`
	Report *report `json:"report,omitempty"`
	Final  *final  `json:"final,omitempty"`
	Failed string  `json:"failed,omitempty"`
}

// hello is what a worker can do, and is.
type hello struct {
	Protocol    int    `json:"protocol"`
	Process     string `json:"process"`     // the same from workers of one process
	Descriptors int    `json:"descriptors"` // that its process may have
	Ports       int    `json:"ports"`       // for connections of one address to another
	Cores       int    `json:"cores"`
	Memory      int64  `json:"memory"` // bytes, before the run; 0: unknown
}

// report is what a worker has seen since its last one.
type report struct {
	Tick       int              `json:"tick,omitempty"` // that it answers
	Connects   int              `json:"connects"`
	Deliveries int64            `json:"deliveries"`
	Bytes      int64            `json:"bytes"`
	Requests   int64            `json:"requests"`
	Errors     map[string]int64 `json:"errors,omitempty"`
	Latency    string           `json:"latency,omitempty"` // encoded histograms
	Resume     string           `json:"resume,omitempty"`
	Lag        time.Duration    `json:"lag_ns"` // the longest that the loop did not look at its connections

	// These are as they are now.
	Connected    int           `json:"connected"`
	Arrived      int           `json:"arrived"` // subscribers that were in
	LastArrival  instant       `json:"last_arrival,omitempty"`
	LastDelivery instant       `json:"last_delivery,omitempty"`
	Missing      int64         `json:"missing"`
	Finished     bool          `json:"finished,omitempty"` // missing is final, but for what still comes
	CPU          time.Duration `json:"cpu_ns"`             // of the worker's process
	LoopCPU      time.Duration `json:"loop_cpu_ns"`        // of its loop alone
	Memory       int64         `json:"memory,omitempty"`

	latency, resume histogram // what encode makes text of
}

// encode is left to the goroutine that sends: the loop has no time for it.
func (r *report) encode() {
	r.Latency, r.Resume = r.latency.encode(), r.resume.encode()
}

// final is a worker's last word.
type final struct {
	Received   int64          `json:"received"`
	Lost       int64          `json:"lost"`
	Repeated   int64          `json:"repeated"`
	OutOfOrder int64          `json:"out_of_order"`
	Unknown    int64          `json:"unknown"`
	Gaps       int64          `json:"gaps"`
	Orders     []channelOrder `json:"orders,omitempty"`
}

// channelOrder is an order that some subscribers of a channel, who lack
// nothing, saw its messages in. Only those of as many messages compare.
type channelOrder struct {
	Channel  int    `json:"c"`
	Messages int64  `json:"n"`
	Order    uint64 `json:"o"`
}

// lines sends values of type S and receives values of type R, a line of JSON
// each. One goroutine may send while another receives.
type lines[S, R any] struct {
	encoder *json.Encoder
	decoder *json.Decoder
}

func newLines[S, R any](rw io.ReadWriter) *lines[S, R] {
	return &lines[S, R]{json.NewEncoder(rw), json.NewDecoder(bufio.NewReader(rw))}
}

func (l *lines[S, R]) send(v S) error { return l.encoder.Encode(v) }

// receive returns io.EOF at the end of the stream.
func (l *lines[S, R]) receive() (v R, err error) {
	err = l.decoder.Decode(&v)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("read a line of JSON: %w", err)
	}
	return v, err
}
