// Package gateway is the client side of a node: the HTTP interface, version 1,
// over a pubsub.Hub. It knows no Redis. docs/protocol.md describes it for
// clients; routes.go is the table of what there is.
package gateway

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/gateway/hook"
	"comet/gateway/limit"
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

	Auth           *auth.Authenticator // default: everyone may do everything
	Credentials    bool                // Auth takes tokens or keys, so who lacks a permission may want one
	Revocations    *auth.Revocations   // that Auth asks; needs FollowRevocations. Default: nobody is ever thrown out
	Limiter        *limit.Limiter      // default: none
	TrustedProxies []netip.Prefix      // see limit.Address
	Origins        []string            // see limit.CORS
	Asker          *hook.Asker         // is asked on top of Auth; default: nobody is
	Events         *hook.Events        // is told of streams; default: nobody is
	Presence       *pubsub.Presence    // of users with streams and waiting polls; default: no channel has any

	Holder Holder       // of event streams; default: conn.Portable
	Logger *slog.Logger // default: none
}

// Limits bound what a client may ask for. Zero values mean the default.
type Limits struct {
	Message     int           // bytes of one message's body; default 64 KiB
	Batch       int           // messages of one batch; default 1000
	Channels    int           // channels of one subscription; default 64
	Wait        time.Duration // of a long-poll; default 55s
	Body        time.Duration // for a request's body to arrive; default 30s
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
	Evict(user string, before time.Time, why conn.Bye)
}

// Gateway serves the HTTP interface of one node.
type Gateway struct {
	options Options
	page    http.Handler
	router  http.Handler
	// corsHeader is what an answer to a request has of CORS; nil: nothing.
	corsHeader func(*http.Request) http.Header

	connections atomic.Int64
	counts      counts
	visitors    visitors        // of requests that a goroutine holds
	spread      atomic.Int64    // of the leave, in ns
	leaving     context.Context // ends when the node does, see Leave
	leave       context.CancelFunc
	heard       chan struct{} // closed once it is known who was thrown out before
	hear        func()        // closes it
}

// New makes a gateway. An error names the setting that is wrong.
func New(o Options) (*Gateway, error) {
	setDefault(&o.Heartbeat, 25*time.Second)
	setDefault(&o.Limits.Message, 64<<10)
	setDefault(&o.Limits.Batch, 1000)
	setDefault(&o.Limits.Channels, 64)
	setDefault(&o.Limits.Wait, 55*time.Second)
	setDefault(&o.Limits.Body, 30*time.Second)
	if o.Holder == nil {
		o.Holder = conn.Portable{Heartbeat: o.Heartbeat}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Auth == nil {
		o.Auth = openToAll()
	}
	if o.Limiter == nil {
		o.Limiter = limit.New(limit.Options{})
	}
	g := &Gateway{options: o, page: web.Handler(), heard: make(chan struct{})}
	g.hear = sync.OnceFunc(func() { close(g.heard) })
	if o.Revocations == nil {
		g.options.Revocations = auth.NewRevocations(time.Hour, 1000)
		g.hear()
	}
	g.leaving, g.leave = context.WithCancel(context.Background())
	g.startCounts()
	if err := g.route(); err != nil {
		return nil, err
	}
	return g, nil
}

// openToAll lets everyone do everything.
func openToAll() *auth.Authenticator {
	a, err := auth.New(auth.Options{Anonymous: everything()})
	if err != nil {
		panic(err)
	}
	return a
}

func everything() auth.Permissions {
	all, err := auth.ParsePatterns([]string{"**"})
	if err != nil {
		panic(err)
	}
	return auth.Permissions{Subscribe: all, Publish: all, Presence: all}
}

// route makes the router, with what must come before it: what other sites'
// pages may do.
func (g *Gateway) route() error {
	cors, err := limit.CORS(g.options.Origins)
	if err != nil {
		return err
	}
	if len(g.options.Origins) > 0 {
		g.corsHeader = limit.CORSHeader(cors)
	}
	g.router = cors(g.protected(g.routes()))
	return nil
}

// protected refuses what a page of another site had a browser send, unless that
// site is listed, for all it does or for what it does with the cookie.
func (g *Gateway) protected(h http.Handler) http.Handler {
	if slices.Contains(g.options.Origins, "*") {
		return h // no cookie is ever sent to it, and a token says enough
	}
	protection := http.NewCrossOriginProtection()
	for _, origin := range slices.Concat(g.options.Origins, g.options.Auth.CookieOrigins()) {
		_ = protection.AddTrustedOrigin(origin) // limit.CORS or auth.New has checked it
	}
	protection.SetDenyHandler(g.handle(route{endpoint: crossOrigin, open: true}))
	return protection.Handler(h)
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
	g.setDeadlines(w, r)
	g.router.ServeHTTP(w, r)
}

// setDeadlines bounds what a client can take of a connection's time. Who holds
// a stream or poll has its own.
func (g *Gateway) setDeadlines(w http.ResponseWriter, r *http.Request) {
	c, body := http.NewResponseController(w), time.Now().Add(g.options.Limits.Body)
	if r.ContentLength != 0 { // net/http also waits for a body that nobody wants
		_ = c.SetReadDeadline(body) // a test's recorder has none
	}
	_ = c.SetWriteDeadline(body.Add(answerTimeout))
}

// Leave says goodbye to every stream and answers every poll, evenly over the
// time of spread, and lets no new ones in. It returns at once; the server's
// Shutdown, and the Holder, wait for their ends.
func (g *Gateway) Leave(spread time.Duration) {
	g.spread.Store(int64(spread))
	g.leave()
	g.options.Holder.Leave(spread)
}

// whileHere is r's context, ended by a conn.Bye when the node leaves, at some
// time of the spread, or when v is thrown out.
func (g *Gateway) whileHere(r *http.Request, v *visit) (context.Context, context.CancelFunc) {
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
	out := g.visitors.enter(v.User, v.IssuedAt, cancel)
	return ctx, func() {
		out()
		stop()
		cancel(nil)
	}
}

// greatestAge is when a stream that begins now must end; zero: never.
func (g *Gateway) greatestAge() time.Time {
	age := g.options.MaxAge
	if age == 0 {
		return time.Time{}
	}
	return time.Now().Add(age*9/10 + rand.N(age/5+1))
}

// admit counts a stream or poll of a client, or refuses it. Call release, with
// the same client, when it ends.
func (g *Gateway) admit(c limit.Client) error {
	if g.leaving.Err() != nil {
		return conn.Shutdown
	}
	if err := g.options.Limiter.Connect(c); err != nil {
		return err
	}
	most := int64(g.options.Limits.Connections)
	if n := g.connections.Add(1); most > 0 && n > most {
		g.release(c)
		return tooManyConnections(most)
	}
	return nil
}

func (g *Gateway) release(c limit.Client) {
	g.connections.Add(-1)
	g.options.Limiter.Disconnect(c)
}
