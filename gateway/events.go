package gateway

import (
	"mime"
	"net/http"
	"strings"

	"comet/gateway/conn"
	"comet/gateway/wire"
	"comet/pubsub"
)

// events: GET /v1/events
func (g *Gateway) events(w http.ResponseWriter, r *http.Request) error {
	p, err := parametersOf(r)
	if err != nil {
		return err
	}
	format := formatOf(r, p)
	s, err := g.subscriptionOf(r, p)
	if err != nil {
		return err
	}
	release, err := g.admit()
	if err != nil {
		return err
	}
	ctx, cancel := g.whileHere(r)
	defer cancel()
	subscriber, err := g.options.Hub.Subscribe(ctx, s.starts)
	if err != nil {
		release()
		return err
	}
	g.options.Holder.Hold(w, r.WithContext(ctx), &conn.Stream{
		Subscriber: subscriber,
		Cursors:    pubsub.NewCursorSet(s.channels, subscriber.Start()),
		Several:    len(s.channels) > 1,
		Format:     format,
		Node:       g.options.Node,
		Leaving:    errLeaving,
		Ended:      release,
	})
	return nil
}

// formatOf is the encoding that the client asks for. The caller reports
// p.err, which subscriptionOf does.
func formatOf(r *http.Request, p *parameters) wire.Format {
	if p.choice("format", "json", "raw") == "raw" {
		return wire.SSERaw
	}
	for accepted := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		if media, _, _ := mime.ParseMediaType(accepted); media == wire.NDJSON.ContentType() {
			return wire.NDJSON
		}
	}
	return wire.SSE
}
