package conn

import (
	"sync/atomic"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
	"comet/pubsub/measure"
)

// Transport is how messages come to a client.
type Transport uint8

// Every transport.
const (
	OverSSE Transport = iota // in both of its formats
	OverNDJSON
	OverPoll
	Transports = iota // how many there are
)

// String is a metric's label value.
func (t Transport) String() string { return [Transports]string{"sse", "ndjson", "poll"}[t] }

// TransportOf is that of streams in a format.
func TransportOf(f wire.Format) Transport {
	if f == wire.NDJSON {
		return OverNDJSON
	}
	return OverSSE
}

// Reasons that no client hears.
const (
	Answered CloseReason = "answered" // a poll was
	// FellBack is no reason: what was let in at the door did not begin there,
	// and goes the long way.
	FellBack CloseReason = "elsewhere"
)

// CloseReasons is every reason for which a stream or poll ends.
var CloseReasons = []CloseReason{Gone, Answered, Shutdown, Slow, MaxAge, TokenExpired, Revoked}

// Stats is what a holder has at the moment, and has counted since the start.
type Stats struct {
	Parked    [Transports]int64 // streams, and polls that wait, that no goroutine holds
	IdlePolls int64             // connections that are parked between two polls
	Messages  [Transports]int64 // written to subscribers
	Bytes     [Transports]int64 // written to them, whatever it was, before TLS and HTTP/2
	// WriteLatency is how long it took from the beginning of a publish at this node
	// until its message was written, of a sample: once for each walk through the
	// parked connections of a channel that had it to write, and once for each of
	// the others.
	WriteLatency measure.LatencyStats
}

// allCounters is where what is written is noted: a tally for each writer, so that no
// two write to the same place for each delivery. Goroutines that hold a
// connection share those by turns.
type allCounters struct {
	each       []writeCounters
	roundRobin atomic.Uint64
	latency    measure.Latency
}

func newCounters(n int) *allCounters {
	l := &allCounters{each: make([]writeCounters, n)}
	for i := range l.each {
		l.each[i].all = l
	}
	return l
}

// next is a tally for one more connection; nil, which counts nothing, of a nil
// ledger.
func (l *allCounters) next() *writeCounters {
	if l == nil {
		return nil
	}
	return &l.each[l.roundRobin.Add(1)%uint64(len(l.each))]
}

// stats has all but what is parked.
func (l *allCounters) stats() (s Stats) {
	if l == nil {
		return s
	}
	for i := range l.each {
		for t := range s.Messages {
			s.Messages[t] += l.each[i].messages[t].Load()
			s.Bytes[t] += l.each[i].bytes[t].Load()
		}
	}
	s.WriteLatency = l.latency.Stats()
	return s
}

// writeCounters is what one writer has written, or some goroutines.
type writeCounters struct {
	all      *allCounters
	messages [Transports]atomic.Int64
	bytes    [Transports]atomic.Int64
	_        [64]byte // so that the next one is in another cache line
}

func (c *writeCounters) addBytes(t Transport, n int) {
	if c != nil {
		c.bytes[t].Add(int64(n))
	}
}

func (c *writeCounters) addMessages(t Transport, n int) {
	if c != nil {
		c.messages[t].Add(int64(n))
	}
}

// receipt is what is to be counted of items once a goroutine has written them.
// It keeps none of them, as that may take long, but those that are traced.
type receipt struct {
	messages     int
	sampleStarts []time.Time       // of those whose time is taken
	traced       []*pubsub.Message // whose writes are told
}

// receiptOf is of items for a stream or poll that began at since. The time is
// not taken of older ones, which it resumed with.
func receiptOf(items []pubsub.Delivery, since time.Time, p *Portable) (r receipt) {
	r.messages = messagesIn(items)
	for i := range items {
		m := items[i].Message
		if m == nil {
			continue
		}
		if start := m.Began(); start != nil && start.After(since) {
			r.sampleStarts = append(r.sampleStarts, *start)
		}
		if p.Written != nil && m.Trace != "" {
			r.traced = append(r.traced, m)
		}
	}
	return r
}

// count counts what was written.
func (r *receipt) count(c *writeCounters, t Transport, p *Portable) {
	for _, m := range r.traced {
		p.Written(m)
	}
	if c == nil {
		return
	}
	c.addMessages(t, r.messages)
	for _, start := range r.sampleStarts {
		c.all.latency.Observe(time.Since(start))
	}
}

// messagesIn is how many items are messages.
func messagesIn(items []pubsub.Delivery) (n int) {
	for i := range items {
		if items[i].Message != nil {
			n++
		}
	}
	return n
}
