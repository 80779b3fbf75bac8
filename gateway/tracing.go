package gateway

import (
	"context"
	"errors"
	"net/http"

	"comet/pubsub"
)

// Tracer makes spans of publishes. Its methods may be called concurrently.
type Tracer interface {
	// Publish begins the span of a request that publishes; ctx is the request's,
	// see trace.FromContext. The caller calls End once.
	Publish(ctx context.Context) PublishSpan
}

// PublishSpan is one request under way.
type PublishSpan interface {
	// Carry returns the parent of the messages' own spans, for pubsub.Draft.Trace;
	// empty if the span is not kept.
	Carry() string
	End(Published)
}

// Published is the outcome of a request that publishes.
type Published struct {
	Channel  string // of one message; empty for a batch, or if it is not known
	Messages int
	Bytes    int // of data
	// Outcome is published, duplicate, batch, canceled, panic, or the name of a
	// problem.
	Outcome string
	Failed  bool // the client did not cause it
}

// publishTrace is a span that has begun. A nil *publishTrace records nothing.
type publishTrace struct {
	span PublishSpan
	Published
}

// serveTraced is serve for an endpoint that publishes.
func (g *Gateway) serveTraced(row route, w http.ResponseWriter, r *http.Request, rc *requestContext) error {
	if g.options.Tracer == nil {
		return g.serve(row, w, r, rc)
	}
	return g.serveInSpan(row, w, r, rc)
}

// serveInSpan is a function of its own because its closure's variables are
// allocated in any case.
func (g *Gateway) serveInSpan(row route, w http.ResponseWriter, r *http.Request, rc *requestContext) (err error) {
	p := &publishTrace{span: g.options.Tracer.Publish(r.Context())}
	rc.span = p
	defer func() {
		switch {
		case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
			p.Outcome = "canceled"
		case err != nil:
			problem := rc.policy.toProblem(err)
			p.Outcome, p.Failed = problem.name, problem.status >= http.StatusInternalServerError
		case p.Outcome == "":
			p.Outcome, p.Failed = "panic", true
		}
		p.span.End(p.Published)
	}()
	return g.serve(row, w, r, rc)
}

// spanParent returns the Trace of the drafts of rc.
func (rc *requestContext) spanParent() string {
	if rc.span == nil {
		return ""
	}
	return rc.span.span.Carry()
}

// record keeps what was published for the end of the span.
func (p *publishTrace) record(channel, outcome string, drafts ...pubsub.Draft) {
	if p == nil {
		return
	}
	p.Channel, p.Outcome, p.Messages = channel, outcome, len(drafts)
	for i := range drafts {
		p.Bytes += len(drafts[i].Data)
	}
}
