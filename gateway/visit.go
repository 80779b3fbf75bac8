package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/gateway/hook"
	"comet/gateway/limit"
	"comet/gateway/trace"
	"comet/pubsub"
)

// visit is one request: who sent it, and what it is judged by.
type visit struct {
	*auth.Principal // nil until it is let in
	client          limit.Client
	operator        bool // who may read the nodes' own channels
	policy          *policy
	request         trace.Request // at the door only if somebody asks, see about
	publishing      *publishing
}

type visitKey struct{}

// context is ctx for the visit.
func (v *visit) context(ctx context.Context) context.Context {
	return context.WithValue(trace.NewContext(ctx, &v.request), visitKey{}, v)
}

// visitOf is the visit of a request that came through ServeHTTP.
func visitOf(r *http.Request) *visit {
	v, _ := r.Context().Value(visitKey{}).(*visit)
	return v
}

// letIn authenticates r and counts the request, one with a bad credential too.
// What is cheap comes first: where a signature has to be verified, the address is
// asked for its rate before that. Otherwise the user is asked before the address,
// so that a request that is refused to one user costs the others there nothing.
func (g *Gateway) letIn(r *http.Request) error {
	v := visitOf(r)
	who, known, err := v.policy.Auth.Known(r)
	v.client = v.policy.clientOf(r, who)
	var over error
	if known {
		over = v.policy.Limiter.Request(v.client)
	} else if over = v.policy.Limiter.RequestOfAddress(v.client); over == nil {
		if who, err = v.policy.Auth.Authenticate(r); err == nil {
			v.client.User = who.User
			over = v.policy.Limiter.RequestOfUser(v.client)
		}
	}
	switch {
	case over != nil:
		return over
	case err != nil:
		return err
	}
	v.Principal = who
	if v.client.Trusted {
		conn.Exempt(r.Context())
	}
	return g.revocations.await(r.Context(), who)
}

// letInAtOnce is letIn for the fast path, which runs where nothing may take
// long: ok is false if r is refused, if a signature has to be verified, or if
// there is something to wait for.
func (g *Gateway) letInAtOnce(r *http.Request, p *policy) (v *visit, ok bool) {
	if p.rebound(r) {
		return nil, false
	}
	who, known, err := p.Auth.Known(r)
	if !known || err != nil || who.User != "" && !g.revocations.isLoaded() {
		return nil, false
	}
	return &visit{Principal: who, client: p.clientOf(r, who), policy: p}, true
}

// clientOf is whom the limits count; who is nil for one that is not known. Back
// ends, which have keys, speak for many.
func (p *policy) clientOf(r *http.Request, who *auth.Principal) limit.Client {
	c := limit.Client{Address: limit.Address(r, limit.Proxies{Trusted: p.TrustedProxies, Forwarded: p.Forwarded})}
	if who != nil {
		c.User, c.Trusted = who.User, who.Key != ""
	}
	return c
}

// reserved begins the names of channels that nodes use among themselves.
const reserved = pubsub.ControlPrefix

func (v *visit) maySubscribe(channel string) error { return may(channel, v.MaySubscribe, v.operator) }
func (v *visit) mayPublish(channel string) error   { return may(channel, v.MayPublish, false) }
func (v *visit) mayReadHistory(channel string) error {
	return may(channel, v.MayReadHistory, v.operator)
}
func (v *visit) maySeePresence(channel string) error {
	return may(channel, v.MaySeePresence, v.operator)
}

// may judges; own says that the nodes' own channels are no secret.
func may(channel string, permitted func(channel string) error, own bool) error {
	if strings.HasPrefix(channel, reserved) && !own {
		return problem(forbidden, "Channels that begin with %q are the nodes' own: choose another name.", reserved)
	}
	return permitted(channel)
}

// setting is what a limit is set by.
var setting = [limit.Limits]string{
	limit.AddressConnections: "limits.address_connections",
	limit.UserConnections:    "limits.user_connections",
	limit.AddressRequests:    "limits.address_requests",
	limit.UserRequests:       "limits.user_requests",
	limit.AddressPublishes:   "limits.address_publishes",
	limit.UserPublishes:      "limits.user_publishes",
}

// exceeded is what a client that has met a limit is told.
func exceeded(e *limit.Exceeded) *Problem {
	p := problem(tooManyRequests, "This is more than %s allows here: try again later, and less often.", setting[e.Limit])
	if e.Limit == limit.AddressConnections || e.Limit == limit.UserConnections {
		p = problem(tooManyRequests, "There are as many streams and polls as %s allows: end one, or try again later.", setting[e.Limit])
	}
	if e.Wait > 0 {
		p.retry = limit.RetryAfter(e.Wait)
	}
	return p
}

// refusal is what somebody hears whose credential is no good, or lacking.
func (p *policy) refusal(err error) *Problem {
	var denied *auth.DeniedError
	var bad *auth.Error
	var no *hook.Denied
	var silent *hook.Unavailable
	switch {
	case errors.As(err, &denied) && denied.Credential == auth.None && p.Credentials:
		return problem(credentials[auth.Missing], "%s", denied.Error())
	case errors.As(err, &denied):
		return problem(forbidden, "%s", denied.Error())
	case errors.As(err, &bad):
		refused := problem(credentials[bad.Reason], "%s", bad.Detail)
		if bad.Wait > 0 {
			refused.retry = limit.RetryAfter(bad.Wait)
		}
		return refused
	case errors.As(err, &no):
		refused := problem(forbidden, "%s", no.Error())
		refused.Channels = no.Channels
		return refused
	case errors.As(err, &silent):
		later := problem(unavailable, "Whether this is allowed cannot be found out at the moment: try again soon.")
		if silent.Wait > 0 {
			later.retry = limit.RetryAfter(silent.Wait)
		}
		return later
	case errors.Is(err, conn.Revoked): // while it waited for its channels
		return p.refusal(auth.ErrRevoked)
	case errors.Is(err, auth.ErrKeysUnavailable), errors.Is(err, errNotLoaded):
		return problem(unavailable, "Tokens cannot be checked at the moment: try again soon.")
	}
	return nil
}

// credentials is the kind of problem for each reason to refuse one.
var credentials = func() map[auth.Reason]kind {
	all := make(map[auth.Reason]kind)
	for _, reason := range []auth.Reason{
		auth.Missing, auth.Malformed, auth.WrongAlgorithm, auth.BadSignature, auth.UnknownKey, auth.Expired,
		auth.NotYetValid, auth.WrongIssuer, auth.WrongAudience, auth.Revoked,
	} {
		all[reason] = kind{http.StatusUnauthorized, "credential-" + string(reason), "Not authorized", 0}
	}
	all[auth.Several] = kind{http.StatusBadRequest, "credential-several", "Several credentials", 0}
	all[auth.WrongOrigin] = kind{http.StatusForbidden, "credential-wrong-origin", "Not allowed", 0}
	return all
}()

// session is for a stream or poll of v that begins now.
func (v *visit) session() conn.Session {
	s := conn.Session{User: v.User, Issued: v.IssuedAt, Until: v.Ends, Reason: conn.TokenExpired}
	if end := greatestAge(v.policy.MaxAge); !end.IsZero() && (s.Until.IsZero() || end.Before(s.Until)) {
		s.Until, s.Reason = end, conn.MaxAge
	}
	return s
}
