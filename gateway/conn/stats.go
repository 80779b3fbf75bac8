package conn

import (
	"sync/atomic"
	"time"

	"comet/gateway/wire"
	"comet/internal/metrics"
	"comet/pubsub"
)

// Transport is how messages come to a client.
type Transport uint8

// Every transport.
const (
	OverSSE Transport = iota // in both of its formats
	OverNDJSON
	OverPoll
	OverBayeux        // long-polls of Bayeux clients
	Transports = iota // how many there are
)

// String is a metric's label value.
func (t Transport) String() string { return [Transports]string{"sse", "ndjson", "poll", "bayeux"}[t] }

// Polls reports whether each answer ends a request, and the client asks again.
func (t Transport) Polls() bool { return t == OverPoll || t == OverBayeux }

// TransportOf is that of streams in a format.
func TransportOf(f wire.Format) Transport {
	if f == wire.NDJSON {
		return OverNDJSON
	}
	return OverSSE
}

// Stats has the numbers of a Parker: of the moment, and since the start.
type Stats struct {
	Parked    [Transports]int64 // parked streams, and parked polls that wait
	IdlePolls int64             // parked connections between two polls
	Messages  [Transports]int64 // written to subscribers
	Bytes     [Transports]int64 // written to subscribers, with heartbeats and headers, before TLS and HTTP/2
	Gzip      GzipStats
	// WriteLatency is the time from the beginning of a publish at this node until its
	// message was written, of sampled messages: once per flush pass for parked
	// connections, and once per connection for all others.
	WriteLatency metrics.LatencyStats
}

// GzipStats are what streams with gzip got. Written counts in Stats.Bytes too.
type GzipStats struct {
	Content int64 // bytes of events, before compression
	Written int64 // the bytes that they took
}

// allCounters counts what is written. Each writer has its own writeCounters, so that
// writers do not share cache lines; goroutines that hold a connection use one of them.
type allCounters struct {
	each       []writeCounters
	roundRobin atomic.Uint64
	latency    metrics.Latency
}

func newCounters(n int) *allCounters {
	l := &allCounters{each: make([]writeCounters, n)}
	for i := range l.each {
		l.each[i].all = l
	}
	return l
}

// next returns the counters for one more connection that a goroutine holds; nil if l
// is nil.
func (l *allCounters) next() *writeCounters {
	if l == nil {
		return nil
	}
	return &l.each[l.roundRobin.Add(1)%uint64(len(l.each))]
}

// stats returns the Stats without the gauges of what is parked.
func (l *allCounters) stats() (s Stats) {
	if l == nil {
		return s
	}
	for i := range l.each {
		for t := range s.Messages {
			s.Messages[t] += l.each[i].messages[t].Load()
			s.Bytes[t] += l.each[i].bytes[t].Load()
		}
		s.Gzip.Content += l.each[i].gzipContent.Load()
		s.Gzip.Written += l.each[i].gzipWritten.Load()
	}
	s.WriteLatency = l.latency.Stats()
	return s
}

// writeCounters counts what one writer and some goroutines have written. A nil one counts
// nothing.
type writeCounters struct {
	all      *allCounters
	messages [Transports]atomic.Int64
	bytes    [Transports]atomic.Int64

	gzipContent, gzipWritten atomic.Int64

	_ [64]byte // so that the next ones are in another cache line
}

func (c *writeCounters) addBytes(t Transport, n int) {
	if c != nil {
		c.bytes[t].Add(int64(n))
	}
}

func (c *writeCounters) addGzip(content, written int) {
	if c != nil && written > 0 {
		c.gzipContent.Add(int64(content))
		c.gzipWritten.Add(int64(written))
	}
}

func (c *writeCounters) addMessages(t Transport, n int) {
	if c != nil {
		c.messages[t].Add(int64(n))
	}
}

// receipt is what to count and report when a goroutine has written some items. The
// write may take long, so it keeps no messages but those with a Trace.
type receipt struct {
	messages     int
	sampleStarts []time.Time       // of the sampled messages
	traced       []*pubsub.Message // to report
}

// receiptOf returns the receipt of items for a stream or poll that began at since. Older
// messages, with which it resumed, are no samples of the latency.
func receiptOf(items []pubsub.Delivery, since time.Time, p *Portable) (r receipt) {
	r.messages = messagesIn(items)
	for i := range items {
		m := items[i].Message
		if m == nil {
			continue
		}
		if start := m.PublishStart(); start != nil && start.After(since) {
			r.sampleStarts = append(r.sampleStarts, *start)
		}
		if p.Written != nil && m.Trace != "" {
			r.traced = append(r.traced, m)
		}
	}
	return r
}

// count counts and reports what was written.
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

// messagesIn is the number of messages among items.
func messagesIn(items []pubsub.Delivery) (n int) {
	for i := range items {
		if items[i].Message != nil {
			n++
		}
	}
	return n
}
