// Package gateway is the client side of a node: the HTTP interface, version 1,
// over a pubsub.Hub. It knows no Redis. docs/protocol.md describes it for
// clients; routes.go is the table of what there is.
package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

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
	Heartbeat time.Duration // how often an idle stream gets a sign of life; default 25s
	Policy    Policy        // to begin with

	Revocations     *auth.Revocations     // that Policy.Auth asks; needs FollowRevocations. Default: no user is ever revoked
	RevocationStore admit.RevocationStore // of what is revoked on this node; default: none
	Asker           *hook.Asker           // is asked on top of Policy.Auth; default: nobody is
	Events          *hook.Events          // is told of streams; default: nobody is
	Presence        *pubsub.Presence      // of users with streams and waiting polls; default: no channel has any
	Tracer          Tracer                // default: none

	Replays *conn.Replays // bounds what streams and polls that read the log hold; default: conn.DefaultReplayMemory

	Holder Holder       // of event streams; default: conn.Portable
	Logger *slog.Logger // default: none
}

// Holder holds event streams and long-polls until they end. It is the seam
// between what is sent and how many thousands of connections are kept.
type Holder interface {
	Hold(w http.ResponseWriter, r *http.Request, s *conn.Stream)
	// HoldPoll returns an error only before anything was written.
	HoldPoll(w http.ResponseWriter, r *http.Request, q *conn.Poll) error
	// Drain and Revoke say goodbye to what is held beyond its request, see
	// conn.Parker.
	Drain(spread time.Duration)
	Revoke(user string, before time.Time, why conn.CloseReason)
}

// Gateway serves the HTTP interface of one node.
type Gateway struct {
	options Options
	page    http.Handler
	routes  http.Handler // behind what the policy puts before it
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

// nodeHeader tells in every answer which node gave it.
const nodeHeader = "Comet-Node"

// ServeHTTP implements http.Handler. A client's name for the request is in the
// answer too.
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

// setDeadlines bounds what a client can take of a connection's time. Who holds
// a stream or poll has its own.
func setDeadlines(w http.ResponseWriter, r *http.Request, forBody time.Duration) {
	c, body := http.NewResponseController(w), time.Now().Add(forBody)
	if r.ContentLength != 0 { // net/http also waits for a body that nobody wants
		_ = c.SetReadDeadline(body) // a test's recorder has none
	}
	_ = c.SetWriteDeadline(body.Add(answerTimeout))
}

// Replays is how many clients read the log at the moment.
func (g *Gateway) Replays() conn.ReplayStats { return g.options.Replays.Stats() }

// Drain says goodbye to every stream and answers every poll, evenly over the
// time of spread, and lets no new ones in. It returns at once; the server's
// Shutdown, and the Holder, wait for their ends.
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

// Stats is what a Gateway counts, since the start.
type Stats struct {
	admit.ConnectionStats
	PublishesRefused int64 // messages that were refused before the hub saw them
}

// Stats may be called at any time.
func (g *Gateway) Stats() Stats {
	return Stats{g.admission.Stats(), g.publishesRefused.Load()}
}
