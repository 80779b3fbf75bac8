package gateway

import (
	"context"
	"net/http"

	"comet/gateway/admit"
	"comet/gateway/trace"
)

// visit is one request: who sent it, and what it is judged by.
type visit struct {
	admit.Request
	policy     *policy
	publishing *publishing
}

type visitKey struct{}

// context is ctx for the visit.
func (v *visit) context(ctx context.Context) context.Context {
	return context.WithValue(trace.NewContext(ctx, &v.Trace), visitKey{}, v)
}

// visitOf is the visit of a request that came through ServeHTTP.
func visitOf(r *http.Request) *visit {
	v, _ := r.Context().Value(visitKey{}).(*visit)
	return v
}
