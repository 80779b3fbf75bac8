// Package gateway is the client side of a node: the HTTP interface, version 1,
// over a pubsub.Hub. It knows no Redis. docs/protocol.md describes it for
// clients; routes.go is the table of what there is.
package gateway

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"comet/gateway/conn"
	"comet/gateway/web"
	"comet/pubsub"
)

// Options of a Gateway. Fields without a default must be set.
type Options struct {
	Hub       *pubsub.Hub
	Node      string        // this node's name, in answers and on the chat page
	Heartbeat time.Duration // how often an idle stream gets a sign of life; default 25s
	MaxAge    time.Duration // how long a stream lives, a tenth more or less by chance; 0: for ever
	Limits    Limits
	Access    Access
	Holder    Holder       // of event streams; default: conn.Portable
	Logger    *slog.Logger // default: none
}

// Limits bound what a client may ask for. Zero values mean the default.
type Limits struct {
	Message     int           // bytes of one message's body; default 64 KiB
	Batch       int           // messages of one batch; default 1000
	Channels    int           // channels of one subscription; default 64
	Wait        time.Duration // of a long-poll; default 55s
	Connections int           // streams and polls at a time; 0: no limit
}

// batchBytes bounds the body of a batch: 16 of the largest messages, or 1 MiB
// of small ones.
func (l *Limits) batchBytes() int { return max(16*l.Message, 1<<20) }

// Holder holds event streams and long-polls until they end. It is the seam
// between what is sent and how many thousands of connections are kept.
type Holder interface {
	Hold(w http.ResponseWriter, r *http.Request, s *conn.Stream)
	// HoldPoll returns an error only before anything was written.
	HoldPoll(w http.ResponseWriter, r *http.Request, q *conn.Poll) error
	// Leave and Evict say goodbye to what is held beyond its request, see
	// conn.Parker.
	Leave(spread time.Duration)
	Evict(user string, why conn.Bye)
}

// Gateway serves the HTTP interface of one node.
type Gateway struct {
	options Options
	page    http.Handler
	router  http.Handler

	connections atomic.Int64
	visitors    visitors        // of requests that a goroutine holds
	spread      atomic.Int64    // of the leave, in ns
	refused     atomic.Int64    // at the limit of connections
	leaving     context.Context // ends when the node does, see Leave
	leave       context.CancelFunc
}

// New makes a gateway.
func New(o Options) *Gateway {
	setDefault(&o.Heartbeat, 25*time.Second)
	setDefault(&o.Limits.Message, 64<<10)
	setDefault(&o.Limits.Batch, 1000)
	setDefault(&o.Limits.Channels, 64)
	setDefault(&o.Limits.Wait, 55*time.Second)
	if o.Holder == nil {
		o.Holder = conn.Portable{Heartbeat: o.Heartbeat}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{options: o, page: web.Handler()}
	g.leaving, g.leave = context.WithCancel(context.Background())
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(g.handle(route{endpoint: crossOrigin}))
	g.router = protection.Handler(g.routes())
	return g
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// nodeHeader tells in every answer which node gave it.
const nodeHeader = "Comet-Node"

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(nodeHeader, g.options.Node)
	g.router.ServeHTTP(w, r)
}

// Leave says goodbye to every stream and answers every poll, evenly over the
// time of spread, and lets no new ones in. It returns at once; the server's
// Shutdown, and the Holder, wait for their ends.
func (g *Gateway) Leave(spread time.Duration) {
	g.spread.Store(int64(spread))
	g.leave()
	g.options.Holder.Leave(spread)
}

// Evict ends every stream and poll of a user on this node.
func (g *Gateway) Evict(user string) {
	g.visitors.evict(user)
	g.options.Holder.Evict(user, conn.Revoked)
}

// whileHere is r's context, ended by a conn.Bye when the node leaves, at some
// time of the spread, or when the user is thrown out.
func (g *Gateway) whileHere(r *http.Request, user string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(g.leaving, func() {
		if spread := g.spread.Load(); spread > 0 {
			timer := time.NewTimer(rand.N(time.Duration(spread)))
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		cancel(conn.Shutdown)
	})
	out := g.visitors.enter(user, cancel)
	return ctx, func() {
		out()
		stop()
		cancel(nil)
	}
}

// session is for a stream that begins now.
func (g *Gateway) session() (s conn.Session) {
	if age := g.options.MaxAge; age > 0 {
		s.Until, s.Why = time.Now().Add(age*9/10+rand.N(age/5+1)), conn.MaxAge
	}
	return s
}

// admit counts a stream or poll, or refuses it. Call release when it ends.
func (g *Gateway) admit() error {
	if g.leaving.Err() != nil {
		return conn.Shutdown
	}
	limit := int64(g.options.Limits.Connections)
	if n := g.connections.Add(1); limit > 0 && n > limit {
		g.release()
		return tooManyConnections(limit)
	}
	return nil
}

func (g *Gateway) release() { g.connections.Add(-1) }
