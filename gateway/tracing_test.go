package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"comet/pubsub"
)

// Without a Tracer a publish costs nothing more for there being some.
func TestTracingOffCostsNothing(t *testing.T) {
	g := &Gateway{}
	rc, data := &requestContext{}, []byte("1")
	row := route{open: true, endpoint: func(*Gateway, http.ResponseWriter, *http.Request, *requestContext) error {
		d := pubsub.Draft{Channel: "c", Data: data, Trace: rc.spanParent()}
		rc.span.record(d.Channel, "published", d)
		return nil
	}}
	plain := route{open: true, endpoint: func(*Gateway, http.ResponseWriter, *http.Request, *requestContext) error {
		d := pubsub.Draft{Channel: "c", Data: data}
		_ = d.Validate()
		return nil
	}}
	r := httptest.NewRequestWithContext(rc.context(context.Background()), http.MethodPost, "/", nil)
	without := testing.AllocsPerRun(100, func() { _ = g.serve(plain, nil, r, rc) })
	with := testing.AllocsPerRun(100, func() { _ = g.serveTraced(row, nil, r, rc) })
	if with > without {
		t.Errorf("%v allocations, and %v where nothing could be traced", with, without)
	}
}
