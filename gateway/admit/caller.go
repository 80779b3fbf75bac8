package admit

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/gateway/hook"
	"comet/gateway/limit"
	"comet/gateway/trace"
	"comet/pubsub"
)

// Rules are what requests are judged by. They do not change: a request is judged
// by the same rules from its beginning to its end.
type Rules struct {
	Auth        *auth.Authenticator
	Limiter     *limit.Limiter
	Proxies     limit.Proxies
	Connections int           // streams and polls at a time; 0: no limit
	MaxAge      time.Duration // of a stream, a tenth more or less by chance; 0: no limit
	Leeway      time.Duration // of Auth's tokens, which revocations must cover

	counted *[conn.Transports]sessions // of clients that Limiter counts
}

// Caller is who sent a request, and the rules that it is judged by.
type Caller struct {
	*auth.Principal // nil until it is authenticated
	Client          limit.Client
	Rules           *Rules
	Operator        bool          // may read the nodes' own channels, and is not limited
	Fast            bool          // it is on the fast path: nothing may wait
	Trace           trace.Request // on the fast path only if the log needs it

	hookHeaders map[string]string // see hook.Asker.Headers; may be secrets
	keys        auth.KeysVersion  // of before Principal was found, on the fast path
}

// Authenticate finds out who sent r, and charges the request to its client, also
// if the credential is bad. The cheap checks come first: if a signature must be
// verified, the rate of the address is charged before that. Otherwise the rate of
// the user is charged first, so that a request that is refused to one user costs
// the others at the same address nothing.
//
// On the fast path it charges nothing, and a token whose signature has not been
// verified lately is ErrWouldWait.
func (c *Controller) Authenticate(r *http.Request, caller *Caller) error {
	if c.options.Asker != nil {
		caller.hookHeaders = c.options.Asker.Headers(r.Header)
	}
	if caller.Fast {
		caller.keys = caller.Rules.Auth.KeysVersion()
	}
	p, known, err := caller.Rules.Auth.Known(r)
	caller.Client = caller.Rules.clientOf(r, p)
	if caller.Fast {
		if !known || err == nil && p.User != "" && !c.revocations.isLoaded() {
			return ErrWouldWait
		}
		caller.Principal = p
		return err
	}
	var over error
	if known {
		over = caller.Rules.Limiter.Request(caller.Client)
	} else if over = caller.Rules.Limiter.RequestOfAddress(caller.Client); over == nil {
		if p, err = caller.Rules.Auth.Authenticate(r); err == nil {
			caller.Client.User = p.User
			over = caller.Rules.Limiter.RequestOfUser(caller.Client)
		}
	}
	switch {
	case over != nil:
		return over
	case err != nil:
		return err
	}
	caller.Principal = p
	if caller.Client.Trusted {
		conn.Exempt(r.Context())
	}
	return c.revocations.await(r.Context(), p)
}

// clientOf returns the identity that limits apply to; p is nil if it is not known
// yet. Keys are exempt: back ends act for many users.
func (rules *Rules) clientOf(r *http.Request, p *auth.Principal) limit.Client {
	c := limit.Client{Address: limit.Address(r, rules.Proxies)}
	if p != nil {
		c.User, c.Trusted = p.User, p.Key != ""
	}
	return c
}

// AddressLimit returns how many connections the address of remote may have: its
// limit of streams and polls, and as many for other requests, but at least
// otherConnections. So a client that has all its streams can still publish. most
// is 0 if there is no limit.
func (rules *Rules) AddressLimit(remote netip.Addr) (address netip.Addr, most int) {
	most = rules.Limiter.Address()
	if most == 0 {
		return address, 0
	}
	address, ok := limit.Direct(remote, rules.Proxies.Trusted)
	if !ok {
		return address, 0
	}
	return address, most + max(most, otherConnections)
}

const otherConnections = 16

// ErrReserved says that a channel is one that only nodes use.
var ErrReserved = errors.New("the channel is reserved for nodes")

// MaySubscribe is nil, an *auth.DeniedError or ErrReserved, as are the others.
func (caller *Caller) MaySubscribe(channel string) error {
	return caller.may(channel, caller.Principal.MaySubscribe, caller.Operator)
}

// MayPublish reports about publishing.
func (caller *Caller) MayPublish(channel string) error {
	return caller.may(channel, caller.Principal.MayPublish, false)
}

// MayReadHistory reports about reading the log.
func (caller *Caller) MayReadHistory(channel string) error {
	return caller.may(channel, caller.Principal.MayReadHistory, caller.Operator)
}

// MaySeePresence reports about seeing who is there.
func (caller *Caller) MaySeePresence(channel string) error {
	return caller.may(channel, caller.Principal.MaySeePresence, caller.Operator)
}

// may asks permitted, unless the channel is reserved.
func (caller *Caller) may(channel string, permitted func(channel string) error, reserved bool) error {
	if strings.HasPrefix(channel, pubsub.ControlPrefix) && !reserved {
		return ErrReserved
	}
	return permitted(channel)
}

// ErrNoHook says that no hook is configured.
var ErrNoHook = errors.New("no hook is configured")

// AskService sends a message of a client to the application, see hook.Asker.Service. It
// returns ErrNoHook without a hook.
func (c *Controller) AskService(ctx context.Context, caller *Caller, channel string, data []byte) (reply []byte, err error) {
	if c.options.Asker == nil {
		return nil, ErrNoHook
	}
	return c.options.Asker.Service(ctx, hook.Question{Action: hook.Service, User: caller.User, Key: caller.Key, Channels: []string{channel},
		Address: caller.Client.Address, Data: data, Headers: caller.hookHeaders})
}

// AskHook returns nil if the application allows an action in the channels, or is
// not asked. A denial on the fast path is ErrWouldWait, so that net/http reports
// it.
func (c *Controller) AskHook(ctx context.Context, caller *Caller, action hook.Action, channels ...string) error {
	if c.options.Asker == nil || caller.Operator {
		return nil
	}
	question := hook.Question{Action: action, User: caller.User, Key: caller.Key, Channels: channels,
		Address: caller.Client.Address, Headers: caller.hookHeaders}
	if action == hook.Publish {
		question.From = caller.Sender()
	}
	if !caller.Fast {
		return c.options.Asker.Allowed(ctx, question)
	}
	if allowed, known := c.options.Asker.Cached(question); !known || !allowed {
		return ErrWouldWait
	}
	return nil
}
