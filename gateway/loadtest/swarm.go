package loadtest

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// swarm is all subscribers of a run, served by one goroutine, run's. How they
// are connected and waited for is the system's: swarm_linux.go.
type swarm struct {
	options *Options
	polls   PollDialect // nil for streams
	clock   clock

	gate       chan struct{} // closed to let the subscribers in
	arrived    chan struct{} // closed by run when all are in
	complete   chan struct{} // closed by run when everything was delivered
	deliveries atomic.Int64
	latest     atomicInstant // of a delivery

	// Owned by run's goroutine; report may read them after it.
	subscribers []subscriber
	opened      int // connected
	in          int // of these, in
	latency     *hdrhistogram.Histogram
	connections
}

func newSwarm(o *Options) (*swarm, error) {
	s := &swarm{
		options: o, clock: newClock(),
		gate: make(chan struct{}), arrived: make(chan struct{}), complete: make(chan struct{}),
		subscribers: make([]subscriber, o.Subscribers),
		latency:     hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3),
	}
	if o.Poll {
		s.polls = o.Dialect.(PollDialect)
	}
	for i := range s.subscribers {
		s.subscribers[i].channel = o.Channel
		if o.Own {
			s.subscribers[i].channel = fmt.Sprint(o.Channel, i)
		}
		s.subscribers[i].ledger = newLedger(o.Messages, o.Publishers)
	}
	return s, s.connections.open()
}

// first is a subscriber's first request.
func (s *swarm) first(channel string) Poll {
	if s.polls != nil {
		return s.polls.FirstPoll(channel)
	}
	return Poll{Path: s.options.Dialect.StreamPath(channel), Header: "Accept: text/event-stream\r\n"}
}

func (s *swarm) appendRequest(b []byte, p Poll) []byte {
	return fmt.Appendf(b, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", p.Path, s.options.Address, p.Header)
}

// arrive notes that sub is in.
func (s *swarm) arrive(sub *subscriber) {
	if sub.in {
		return
	}
	sub.in = true
	if s.in++; s.in == len(s.subscribers) {
		close(s.arrived)
	}
}

// delivered notes the first delivery of a message to a subscriber. A latency
// beyond the histogram's ten minutes is in no quantile.
func (s *swarm) delivered(sent, at instant) {
	_ = s.latency.RecordValue(max(1, int64(at-sent)/int64(time.Microsecond)))
	s.latest.Store(at)
	if s.deliveries.Add(1) == int64(s.options.Messages)*int64(len(s.subscribers)) {
		close(s.complete)
	}
}

// report adds the subscribers' part to the result. run has returned.
func (s *swarm) report(r *Result) {
	r.Subscribers, r.Messages = len(s.subscribers), s.options.Messages
	r.Latency = Latency{
		P50MS: float64(s.latency.ValueAtQuantile(50)) / 1e3,
		P99MS: float64(s.latency.ValueAtQuantile(99)) / 1e3,
		MaxMS: float64(s.latency.Max()) / 1e3,
	}
	orders := make(map[uint64]bool)
	for i := range s.subscribers {
		sub := &s.subscribers[i]
		l := &sub.ledger
		r.Deliveries += l.got
		r.Trouble.Missing += r.Messages - l.got
		r.Trouble.Repeated += l.repeated
		r.Trouble.Disordered += l.disordered
		r.Trouble.Unknown += l.unknown
		if sub.closed {
			r.Trouble.Closed++
		}
		if l.got == r.Messages {
			orders[l.order] = true
		}
	}
	r.Trouble.Orders = max(0, len(orders)-1)
}
