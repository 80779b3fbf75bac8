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
	// see trace.FromContext. What it returns is told once how that went.
	Publish(ctx context.Context) PublishSpan
}

// PublishSpan is one request under way.
type PublishSpan interface {
	// Carry is the parent of what becomes of the messages, for pubsub.Draft.Trace;
	// empty if the span is not kept.
	Carry() string
	End(Published)
}

// Published is what became of a request.
type Published struct {
	Channel  string // of one message; empty: of a batch, or not known
	Messages int
	Bytes    int // of data
	// Outcome is published, duplicate, batch, canceled, panic, or the name of a
	// problem.
	Outcome string
	Failed  bool // through no fault of the client
}

// publishTrace is a span under way. Nil: nobody wants one.
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

// serveInSpan is apart because what its closure keeps is allocated in any case.
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

// spanParent is what goes with the messages of rc.
func (rc *requestContext) spanParent() string {
	if rc.span == nil {
		return ""
	}
	return rc.span.span.Carry()
}

// record notes what was published.
func (p *publishTrace) record(channel, outcome string, drafts ...pubsub.Draft) {
	if p == nil {
		return
	}
	p.Channel, p.Outcome, p.Messages = channel, outcome, len(drafts)
	for i := range drafts {
		p.Bytes += len(drafts[i].Data)
	}
}
