package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// The coordinator and a worker exchange NDJSON: the coordinator sends orders, the
// worker replies. A worker begins with some Asks for the time and a Hello. It ends
// with Final, or at any time with Failed.

// protocolVersion changes with the meaning of an order or a reply.
const protocolVersion = 1

// order is a line from the coordinator. One of its fields is set.
type order struct {
	Time   instant `json:"time,omitempty"` // the answer to Ask: the time of the coordinator's clock
	Share  *share  `json:"share,omitempty"`
	Arrive bool    `json:"arrive,omitempty"` // connect the subscribers
	Began  instant `json:"began,omitempty"`  // when publishing begins
	Tick   *tick   `json:"tick,omitempty"`
	Finish *totals `json:"finish,omitempty"` // everything is published
	Stop   bool    `json:"stop,omitempty"`   // send Final and end
}

// tick asks for a report.
type tick struct {
	Number int  `json:"number"`
	Memory bool `json:"memory,omitempty"` // with the worker's memory, which takes a moment to measure
}

// share is a worker's part of the run.
type share struct {
	Plan     Plan     `json:"plan"`
	Token    string   `json:"token,omitempty"` // the plan's JSON leaves it out
	Headers  []string `json:"headers,omitempty"`
	Run      uint32   `json:"run"`
	Nodes    []node   `json:"nodes"`
	First    int      `json:"first"` // the share is subscribers First to First+Count-1
	Count    int      `json:"count"`
	Source   string   `json:"source,omitempty"` // source address of connections to loopback
	Arriving int      `json:"arriving"`         // the limit of connects at a time
}

// validate returns an error for a share that would crash the worker.
func (s *share) validate() error {
	if err := s.Plan.Validate(); err != nil {
		return fmt.Errorf("share: %w", err)
	}
	if len(s.Nodes) == 0 || s.First < 0 || s.Count < 1 || s.Count > s.Plan.Subscribers || s.Arriving < 1 {
		return errors.New("share: it has no nodes or no subscribers")
	}
	return nil
}

// totals are the published messages.
type totals struct {
	Issued []int    `json:"issued"` // number of messages by publisher
	Exempt []exempt `json:"exempt,omitempty"`
}

// exempt is a message that was not, or maybe not, published.
type exempt struct {
	Channel   uint32 `json:"c"`
	Publisher uint32 `json:"p"`
	Sequence  uint32 `json:"s"`
}

// reply is a line from a worker. One of its fields is set.
type reply struct {
	Ask    bool    `json:"ask,omitempty"` // for the time
	Hello  *hello  `json:"hello,omitempty"`
	Report *report `json:"report,omitempty"`
	Final  *final  `json:"final,omitempty"`
	Failed string  `json:"failed,omitempty"`
}

// hello describes a worker and its limits.
type hello struct {
	Protocol    int    `json:"protocol"`
	Process     string `json:"process"`     // the same for all workers of a process
	Descriptors int    `json:"descriptors"` // limit of its process
	Ports       int    `json:"ports"`       // limit of connections of one address to another
	Cores       int    `json:"cores"`
	Memory      int64  `json:"memory"` // bytes, before the run; 0: unknown
}

// report is a worker's counts since its last report.
type report struct {
	Tick       int              `json:"tick,omitempty"` // the number of the tick that it answers
	Connects   int              `json:"connects"`
	Deliveries int64            `json:"deliveries"`
	Bytes      int64            `json:"bytes"`
	Requests   int64            `json:"requests"`
	Errors     map[string]int64 `json:"errors,omitempty"`
	Latency    string           `json:"latency,omitempty"` // encoded histograms
	Resume     string           `json:"resume,omitempty"`
	Lag        time.Duration    `json:"lag_ns"` // the longest time between two reads of the connections

	// Gauges.
	Connected    int           `json:"connected"`
	Arrived      int           `json:"arrived"` // subscribers that have been connected
	LastArrival  instant       `json:"last_arrival,omitempty"`
	LastDelivery instant       `json:"last_delivery,omitempty"`
	Missing      int64         `json:"missing"`
	Finished     bool          `json:"finished,omitempty"` // Missing only falls, with late deliveries
	CPU          time.Duration `json:"cpu_ns"`             // of the worker's process
	LoopCPU      time.Duration `json:"loop_cpu_ns"`        // of its loop alone
	Memory       int64         `json:"memory,omitempty"`

	latency, resume histogram // before encode
}

// encode runs in the goroutine that sends, because it takes too long for the loop.
func (r *report) encode() {
	r.Latency, r.Resume = r.latency.encode(), r.resume.encode()
}

// final is a worker's last reply.
type final struct {
	Received   int64          `json:"received"`
	Lost       int64          `json:"lost"`
	Repeated   int64          `json:"repeated"`
	OutOfOrder int64          `json:"out_of_order"`
	Unknown    int64          `json:"unknown"`
	Gaps       int64          `json:"gaps"`
	Orders     []channelOrder `json:"orders,omitempty"`
}

// channelOrder is an order in which subscribers of a channel that lack nothing
// received its messages. Only orders of the same number of messages compare.
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
