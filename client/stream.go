package client

import (
	"context"
	"fmt"
	"mime"
	"net/http"

	"comet/gateway/wire"
)

// stream yields the events of one event stream until it ends.
func (s *subscription) stream(ctx context.Context) error {
	w := newWatchdog(ctx, s.o.Idle)
	defer w.stop()
	res, err := s.client.sendAs(w.ctx, s.client.url(s.node), request{
		method: http.MethodGet,
		target: "/v1/events?" + s.query().Encode(),
		header: http.Header{
			"Accept":          {wire.SSE.ContentType()},
			"Accept-Encoding": {"identity"}, // a compressing proxy would delay events
		},
	}, http.StatusOK)
	if err != nil {
		return w.explain(err)
	}
	defer res.Body.Close()
	if got, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); got != wire.SSE.ContentType() {
		return fmt.Errorf("%w: content of type %q", wire.ErrMalformed, got)
	}
	events := wire.NewReader(w.guard(res.Body), wire.SSE)
	for {
		e, err := events.Next()
		if err != nil {
			return w.explain(err)
		}
		s.wait.reset()
		s.asked = e.Retry
		if e.Kind == wire.KindCursor {
			s.cursor = e.Cursor
			continue
		}
		if err := s.deliver(e); err != nil {
			return err
		}
		if e.Kind == wire.KindBye {
			if e.Reason == "token-expired" || e.Reason == "revoked" {
				s.client.token.forget()
			}
			return fmt.Errorf("%w: %s", errEnded, e.Reason)
		}
	}
}
