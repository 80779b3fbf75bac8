package server

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	otlp "go.opentelemetry.io/otel/trace"

	"comet/gateway/trace"
	"comet/pubsub"
)

// relayedMost is how many messages wait at most for their first subscriber to
// have them. The oldest gives way.
const relayedMost = 4096

// relayed are messages that have arrived and were not written to anybody yet.
// The zero value is empty.
type relayed struct {
	mu      sync.Mutex
	waiting map[relayedKey]arrival
	order   [relayedMost]relayedKey // a ring of those that came last
	next    int                     // in order
}

// relayedKey is one message of a trace. Ephemeral ones have no ID, so of several
// in one channel and one batch the last counts.
type relayedKey struct {
	trace, channel string
	id             pubsub.ID
}

// arrival is when a message came, and the span that it came in.
type arrival struct {
	at    time.Time
	relay otlp.SpanContext
}

func keyOf(m *pubsub.Message) relayedKey { return relayedKey{m.Trace, m.Channel, m.ID} }

func (r *relayed) put(m *pubsub.Message, a arrival) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = make(map[relayedKey]arrival)
	}
	delete(r.waiting, r.order[r.next])
	r.order[r.next] = keyOf(m)
	r.next = (r.next + 1) % relayedMost
	r.waiting[keyOf(m)] = a
}

// take is the arrival of a message, once.
func (r *relayed) take(m *pubsub.Message) (a arrival, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok = r.waiting[keyOf(m)]
	delete(r.waiting, keyOf(m))
	return a, ok
}

// requestIDs has a trace that begins here called as the log calls its request.
type requestIDs struct{}

func (requestIDs) NewIDs(ctx context.Context) (id otlp.TraceID, span otlp.SpanID) {
	r := trace.FromContext(ctx)
	if r == nil {
		none := trace.Of(nil)
		r = &none
	}
	return otlp.TraceID(r.Trace), newSpanID()
}

func (requestIDs) NewSpanID(context.Context, otlp.TraceID) otlp.SpanID { return newSpanID() }

func newSpanID() (id otlp.SpanID) {
	_, _ = rand.Read(id[:]) // never fails; a zero of 64 bits does not happen
	return id
}
