// Package trace ties together what is said of one request: in log lines, in
// problems, and in spans. It reads the header that W3C Trace Context gives a
// request (https://www.w3.org/TR/trace-context/) and knows no tracing system.
package trace

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
)

// ID names a trace: all that happens because of one request, on all nodes. It
// is never zero.
type ID [16]byte

// String is 32 lower-case hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// SpanID names one step of a trace. Zero means no step.
type SpanID [8]byte

// Parent is a step of a trace as it is sent to others, in the header
// traceparent and in relayed messages.
type Parent struct {
	Trace   ID
	Span    SpanID // zero: there is no step before
	Sampled bool   // its spans are kept
}

// Request is one request.
type Request struct {
	Parent
	ID string // what the client calls it; empty: nothing
}

// maxRequestID bounds a client's name of a request, in bytes.
const maxRequestID = 128

// Header fields that a client may send.
const (
	ParentField    = "Traceparent"
	RequestIDField = "X-Request-Id"
)

// Of is the request that has the header h. A trace that h does not name, or
// not as it must, begins here.
func Of(h http.Header) Request {
	r := Request{ID: requestID(h[RequestIDField])}
	if fields := h[ParentField]; len(fields) == 1 {
		if p, ok := Parse(fields[0]); ok {
			r.Parent = p
			return r
		}
	}
	r.Trace = newID()
	return r
}

// requestID is the one value, if it is 1 to 128 printable ASCII characters
// without spaces.
func requestID(values []string) string {
	if len(values) != 1 || len(values[0]) > maxRequestID {
		return ""
	}
	for i := range len(values[0]) {
		if c := values[0][i]; c <= ' ' || c > '~' {
			return ""
		}
	}
	return values[0]
}

func newID() (id ID) {
	binary.BigEndian.PutUint64(id[:8], rand.Uint64())
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()|1) // never zero
	return id
}

type key struct{}

// NewContext says that what is done with the context is done for r, which must
// not change any more.
func NewContext(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, key{}, r)
}

// FromContext is what the context is for; nil: no request.
func FromContext(ctx context.Context) *Request {
	r, _ := ctx.Value(key{}).(*Request)
	return r
}
