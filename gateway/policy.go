package gateway

import (
	"net/http"
	"net/netip"
	"slices"
	"time"

	"comet/gateway/admit"
	"comet/gateway/auth"
	"comet/gateway/limit"
	"comet/pubsub"
)

// Policy says who may do what, and how much. It may change while the node serves,
// see Gateway.SetPolicy.
type Policy struct {
	Limits Limits
	MaxAge time.Duration // of a stream, a tenth more or less by chance; 0: no limit

	Auth           *auth.Authenticator // default: everyone may do everything
	Leeway         time.Duration       // of Auth's tokens (auth.TokenOptions.Leeway), which revocations must cover
	Credentials    bool                // Auth takes tokens or keys: anonymous clients without a permission are answered 401
	Limiter        *limit.Limiter      // default: no limits. Limiter.Change makes that of the next Policy
	TrustedProxies []netip.Prefix      // see limit.Address
	Forwarded      bool                // proxies name clients in Forwarded, see limit.Proxies
	LoopbackPort   uint16              // of a listener on loopback that is open to every program of the machine, see limit.Rebound; 0: none
	Origins        []string            // see limit.CORS
}

// Limits bound what a client may ask for. Zero values mean the default.
type Limits struct {
	Message     int           // bytes of one message's body; default 64 KiB
	Batch       int           // messages of one batch; default 1000
	Channels    int           // channels of one subscription; default 64
	Wait        time.Duration // of a long-poll; default 55s; negative: polls do not wait
	Body        time.Duration // for a request's body to arrive; default 30s
	Connections int           // streams and polls at a time; 0: no limit
}

// BatchBytes bounds the body of a batch: 16 of the largest messages, or 1 MiB
// of small ones.
func (l *Limits) BatchBytes() int { return max(16*l.Message, 1<<20) }

// wait returns the longest wait of a long-poll.
func (l *Limits) wait() time.Duration { return max(0, l.Wait) }

func (p *Policy) setDefaults() {
	setDefault(&p.Limits.Message, 64<<10)
	setDefault(&p.Limits.Batch, 1000)
	setDefault(&p.Limits.Channels, 64)
	setDefault(&p.Limits.Wait, 55*time.Second)
	setDefault(&p.Limits.Body, 30*time.Second)
	if p.Auth == nil {
		p.Auth = openToAll()
	}
	if p.Limiter == nil {
		p.Limiter = limit.New(limit.Options{})
	}
}

// openToAll permits everything to everyone.
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

// policy is a Policy with what is derived from it. It never changes: a request is
// judged by one policy from its beginning to its end.
type policy struct {
	Policy
	rules   *admit.Rules
	senders func(channel string) bool // Options.Senders
	router  http.Handler
	pattern func(text string) (*pubsub.Pattern, error) // see pubsub.Hub.Pattern
	// corsHeader returns the CORS fields of an answer; nil: no answer has any.
	corsHeader func(*http.Request) http.Header
	protection *http.CrossOriginProtection // nil: requests of all origins are let through
}

// SetPolicy makes p the policy of the next request. Open streams and polls stay,
// and stay counted. An error names the setting that is wrong; then nothing has
// changed.
func (g *Gateway) SetPolicy(p Policy) error {
	p.setDefaults()
	next := &policy{Policy: p, senders: g.options.Senders, pattern: g.options.Hub.Pattern}
	cors, err := limit.CORS(p.Origins)
	if err != nil {
		return err
	}
	if len(p.Origins) > 0 {
		next.corsHeader = limit.CORSHeader(cors)
	}
	next.router = cors(protected(g, next, g.routes))
	next.rules = g.admission.SetRules(admit.Rules{
		Auth: p.Auth, Limiter: p.Limiter, Proxies: limit.Proxies{Trusted: p.TrustedProxies, Forwarded: p.Forwarded},
		Connections: p.Limits.Connections, MaxAge: p.MaxAge, Leeway: p.Leeway,
	})
	g.policy.Store(next)
	return nil
}

// Policy returns the policy of the next request.
func (g *Gateway) Policy() Policy { return g.policy.Load().Policy }

// protected refuses requests that a page of another site made a browser send,
// unless the site is listed in Origins, or as an origin of the cookie.
func protected(g *Gateway, next *policy, h http.Handler) http.Handler {
	p := &next.Policy
	if !slices.Contains(p.Origins, "*") { // else cookies are never sent, and a token proves enough
		protection := http.NewCrossOriginProtection()
		next.protection = protection
		for _, origin := range slices.Concat(p.Origins, p.Auth.CookieOrigins()) {
			_ = protection.AddTrustedOrigin(origin) // limit.CORS or auth.New has checked it
		}
		protection.SetDenyHandler(g.handle(route{endpoint: crossOrigin, open: true}))
		h = protection.Handler(h)
	}
	by := *p
	misdirected := g.handle(route{endpoint: misdirectedHost, open: true})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if by.rebound(r) {
			misdirected.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, withOwnHost(r, by.TrustedProxies))
	})
}
