// Package gateway is the HTTP API of a node, version 1, over a pubsub.Hub. It
// parses requests and writes answers; package admit decides which are admitted,
// and package conn holds streams and polls. docs/protocol.md describes the API for
// clients; routes.go is the table of its endpoints.
package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"
	"golang.org/x/time/rate"

	"comet/gateway/admit"
	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/gateway/hook"
	"comet/gateway/trace"
	"comet/gateway/web"
	"comet/pubsub"
)

// Options of a Gateway. Fields without a default must be set.
type Options struct {
	Hub       *pubsub.Hub
	Node      string        // this node's name, in answers and on the chat page
	Heartbeat time.Duration // longest silence of a stream; default 25s
	Policy    Policy        // the first one, see SetPolicy

	Revocations     *auth.Revocations     // those of Policy.Auth; needs FollowRevocations. Default: no user is ever revoked
	RevocationStore admit.RevocationStore // of the revocations of this node; default: none
	Asker           *hook.Asker           // is asked in addition to Policy.Auth; default: none
	Events          *hook.Events          // of streams that begin and end; default: none
	Presence        *pubsub.Presence      // of users with streams and waiting polls; default: none
	Tracer          Tracer                // default: none
	// Senders reports whether messages of a channel name their sender. It is called for
	// each message, by many at once. Default: all do.
	Senders func(channel string) bool

	Replays *conn.Replays // bounds the memory of streams and polls that read the log; default: conn.DefaultReplayMemory

	Compress bool // whether to compress streams for clients that accept gzip

	Chat bool // whether to serve the chat page

	Holder Holder       // of event streams; default: conn.Portable
	Logger *slog.Logger // default: none
}

// Holder holds event streams and long-polls until they end.
type Holder interface {
	Hold(w http.ResponseWriter, r *http.Request, s *conn.Stream)
	// HoldPoll returns an error only before anything was written.
	HoldPoll(w http.ResponseWriter, r *http.Request, q *conn.Poll) error
	// Drain and Revoke close connections that are held after their request has
	// been handled, see conn.Parker.
	Drain(spread time.Duration)
	Revoke(user string, before time.Time, why conn.CloseReason)
}

// Gateway serves the HTTP interface of one node.
type Gateway struct {
	options Options
	page    http.Handler
	routes  *mux.Router // without the checks of the policy, which come first
	policy  atomic.Pointer[policy]

	admission        *admit.Controller
	publishesRefused atomic.Int64
	failures         *rate.Limiter // of warnings, see logProblem
}

// New makes a gateway. An error names the setting that is wrong.
func New(o Options) (*Gateway, error) {
	setDefault(&o.Heartbeat, 25*time.Second)
	if o.Replays == nil {
		o.Replays = conn.NewReplays(conn.DefaultReplayMemory)
	}
	if o.Senders == nil {
		o.Senders = func(string) bool { return true }
	}
	if o.Holder == nil {
		o.Holder = conn.Portable{Heartbeat: o.Heartbeat}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{options: o, page: web.Handler(), failures: rate.NewLimiter(failuresLogged, failuresLogged)}
	g.admission = admit.New(admit.Options{
		Hub: o.Hub, Replays: o.Replays, Revocations: o.Revocations, Store: o.RevocationStore,
		Asker: o.Asker, Events: o.Events, Presence: o.Presence, Logger: o.Logger,
		CloseParked: func(user string, before time.Time) { o.Holder.Revoke(user, before, conn.Revoked) },
	})
	g.routes = newRouter(g)
	if err := g.SetPolicy(o.Policy); err != nil {
		return nil, err
	}
	return g, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// nodeHeader names the node in every answer.
const nodeHeader = "Comet-Node"

// ServeHTTP implements http.Handler. The answer repeats the client's ID of the
// request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var rc requestContext
	r = g.receive(&rc, w, r)
	rc.policy.router.ServeHTTP(w, r)
}

// receive returns r with rc, which it fills.
func (g *Gateway) receive(rc *requestContext, w http.ResponseWriter, r *http.Request) *http.Request {
	rc.policy, rc.Trace = g.policy.Load(), trace.Of(r.Header)
	rc.Rules = rc.policy.rules
	w.Header().Set(nodeHeader, g.options.Node)
	if rc.Trace.ID != "" {
		w.Header().Set(trace.RequestIDField, rc.Trace.ID)
	}
	setDeadlines(w, r, rc.policy.Limits.Body)
	return r.WithContext(rc.context(r.Context()))
}

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

// setDeadlines bounds how long a client can keep the connection busy. Holders set
// deadlines of their own.
func setDeadlines(w http.ResponseWriter, r *http.Request, forBody time.Duration) {
	c, body := http.NewResponseController(w), time.Now().Add(forBody)
	if r.ContentLength != 0 { // net/http also waits for a body that is not read
		_ = c.SetReadDeadline(body) // a test's recorder has none
	}
	_ = c.SetWriteDeadline(body.Add(answerTimeout))
}

// Replays returns what clients that read the log hold at the moment.
func (g *Gateway) Replays() conn.ReplayStats { return g.options.Replays.Stats() }

// Drain closes every stream and answers every poll, evenly over the time of
// spread, and refuses new ones. It returns at once; the server's Shutdown and the
// Holder wait for their ends.
func (g *Gateway) Drain(spread time.Duration) {
	g.admission.Drain(spread)
	g.options.Holder.Drain(spread)
}

// Revoke ends all streams and polls of a user on all nodes. From now on it
// refuses every token of the user that was accepted until now, and those issued
// until Policy.Leeway from now. After an error the user may be revoked on some
// nodes only: call it again.
func (g *Gateway) Revoke(ctx context.Context, user string) error {
	return g.admission.Revoke(ctx, user)
}

// FollowRevocations applies the revocations of all nodes until ctx ends, and
// restores the log when it has lost some. With Options.Revocations it must run:
// until it has loaded the log, no tokens are accepted.
func (g *Gateway) FollowRevocations(ctx context.Context) { g.admission.FollowRevocations(ctx) }

// AddressLimit is a conn.AddressLimit, see admit.Rules.AddressLimit.
func (g *Gateway) AddressLimit(remote netip.Addr) (address netip.Addr, most int) {
	return g.policy.Load().rules.AddressLimit(remote)
}

// Stats are the counters of a Gateway since the start.
type Stats struct {
	admit.ConnectionStats
	PublishesRefused int64 // messages that were refused before the hub saw them
}

// Stats may be called at any time.
func (g *Gateway) Stats() Stats {
	return Stats{g.admission.Stats(), g.publishesRefused.Load()}
}
