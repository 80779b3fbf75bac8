package gateway

import (
	"context"
	"net/http"

	"comet/gateway/admit"
	"comet/gateway/trace"
)

// requestContext is what a request carries: who sent it, and the policy that it
// is judged by.
type requestContext struct {
	admit.Caller
	policy *policy
	span   *publishTrace
}

type contextKey struct{}

// context is ctx with rc.
func (rc *requestContext) context(ctx context.Context) context.Context {
	return context.WithValue(trace.NewContext(ctx, &rc.Trace), contextKey{}, rc)
}

// contextOf returns the requestContext of a request that came through ServeHTTP.
func contextOf(r *http.Request) *requestContext {
	rc, _ := r.Context().Value(contextKey{}).(*requestContext)
	return rc
}
