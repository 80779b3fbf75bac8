package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"

	"comet/config"
	"comet/gateway"
	"comet/gateway/admit"
	"comet/gateway/auth"
	"comet/gateway/limit"
)

// access is who may do what on a node, and how much. It is made into a policy
// for the gateway, again whenever the settings change.
type access struct {
	listener    net.Addr // of the node
	revocations *auth.Revocations
	kept        admit.RevocationStore // nil: they are kept in the log alone
	limiter     *limit.Limiter
	tokens      *auth.Tokens      // nil: none are taken
	keep        chan *auth.Tokens // whose keys run refreshes
	policy      gateway.Policy    // the one that counts
	logger      *slog.Logger
}

// newAccess makes the first policy too. Its error names everything that is wrong with
// the keys and secrets of s.
func newAccess(s *config.Settings, listener net.Addr, logger *slog.Logger) (*access, error) {
	a := &access{
		listener: listener,
		// The log of revocations lives at least as long, see newRuling.
		revocations: auth.NewRevocations(s.Auth.JWT.MaxAge, revocationsKept),
		limiter:     limit.New(limit.Options{}),
		keep:        make(chan *auth.Tokens, 1),
		logger:      logger,
	}
	_, use, err := a.change(s, true)
	if err != nil {
		return nil, err
	}
	use()
	a.kept, err = openRevocations(s, a.revocations, logger)
	return a, err
}

// change makes the policy of s. It reads the files that s names; its errors name
// them. Tokens are made again only if other ones are accepted: new ones have
// fetched no keys yet. Call use once the policy counts.
func (a *access) change(s *config.Settings, newTokens bool) (p gateway.Policy, use func(), err error) {
	o := auth.Options{Cookie: s.Auth.Cookie.Name, Origins: s.Auth.Cookie.Origins, Revocations: a.revocations}
	var errs [3]error
	o.Anonymous, errs[0] = anonymous(s)
	o.Keys, errs[1] = keys(s)
	if o.Tokens = a.tokens; newTokens {
		o.Tokens, errs[2] = tokens(s, a.logger)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return p, nil, err
	}
	p = gateway.Policy{
		Limits:         gatewayLimits(&s.Limits),
		MaxAge:         s.HTTP.MaxAge,
		Leeway:         s.Auth.JWT.Leeway,
		Credentials:    o.Tokens != nil || o.Keys != nil,
		Limiter:        a.limiter.Change(clientLimits(&s.Limits)),
		TrustedProxies: s.TrustedPrefixes(),
		Forwarded:      s.HTTP.ForwardedHeader == "Forwarded",
		LoopbackPort:   loopbackPort(a.listener, &o.Anonymous),
		Origins:        s.HTTP.CORS.Origins,
	}
	if p.Auth, err = auth.New(o); err != nil {
		return p, nil, err
	}
	return p, func() {
		a.policy, a.limiter, a.tokens = p, p.Limiter, o.Tokens
		if newTokens {
			a.keepNew(o.Tokens)
		}
	}, nil
}

// loopbackPort is the port of a listener on loopback, if anybody may do anything
// there without a credential; else 0.
func loopbackPort(listener net.Addr, anonymous *auth.Permissions) uint16 {
	tcp, ok := listener.(*net.TCPAddr)
	if !ok || !tcp.IP.IsLoopback() || len(anonymous.Subscribe)+len(anonymous.Publish) == 0 {
		return 0
	}
	return uint16(tcp.Port)
}

// anonymous is what everyone may do; all, if the settings say nothing.
func anonymous(s *config.Settings) (p auth.Permissions, err error) {
	subscribe, publish := s.Auth.Anonymous.Subscribe, s.Auth.Anonymous.Publish
	if s.Open() {
		subscribe, publish = []string{"**"}, []string{"**"}
	}
	if p.Subscribe, err = auth.ParsePatterns(subscribe); err != nil {
		return p, fmt.Errorf("auth.anonymous.subscribe: %w", err)
	}
	if p.Publish, err = auth.ParsePatterns(publish); err != nil {
		return p, fmt.Errorf("auth.anonymous.publish: %w", err)
	}
	return p, nil
}

// keys are those of back ends; nil if there are none.
func keys(s *config.Settings) (*auth.Keys, error) {
	var secrets []string
	for key := range strings.SplitSeq(s.Auth.Keys.Reveal(), ",") {
		if key = strings.TrimSpace(key); key != "" {
			secrets = append(secrets, key)
		}
	}
	if s.Auth.KeysFile != "" {
		var err error
		if secrets, err = auth.ReadKeys(s.Auth.KeysFile); err != nil {
			return nil, fmt.Errorf("auth.keys_file: %w", err)
		}
	}
	if len(secrets) == 0 {
		return nil, nil
	}
	permissions, err := keyPermissions(secrets, s.Auth.KeyRules)
	if err != nil {
		return nil, err
	}
	return auth.NewKeys(auth.KeyOptions{Secrets: secrets, Permissions: permissions})
}

// keyPermissions makes rules, name:verb:pattern each, what each key may do. One
// without a rule may do everything.
func keyPermissions(secrets, rules []string) (map[string]auth.Permissions, error) {
	patterns := make(map[string]map[auth.Verb][]string)
	for i, secret := range secrets {
		name, err := auth.KeyName(secret)
		if err != nil {
			return nil, fmt.Errorf("auth.keys_file or auth.keys: key %d %w", i+1, err)
		}
		patterns[name] = make(map[auth.Verb][]string)
	}
	for _, rule := range rules {
		parts := strings.SplitN(rule, ":", 3)
		if patterns[parts[0]] == nil {
			return nil, fmt.Errorf("auth.key_rules: there is no key %q: add it to auth.keys_file or auth.keys, or remove the rule", parts[0])
		}
		verb := auth.Verb(parts[1])
		patterns[parts[0]][verb] = append(patterns[parts[0]][verb], parts[2])
	}
	all := make(map[string]auth.Permissions)
	for name, byVerb := range patterns {
		if len(byVerb) == 0 {
			for _, verb := range []auth.Verb{auth.Subscribe, auth.Publish} {
				byVerb[verb] = []string{"**"}
			}
		}
		var p auth.Permissions
		for verb, field := range map[auth.Verb]*auth.Patterns{
			auth.Subscribe: &p.Subscribe, auth.Publish: &p.Publish, auth.Presence: &p.Presence, auth.History: &p.History,
		} {
			var err error
			if *field, err = auth.ParsePatterns(byVerb[verb]); err != nil {
				return nil, fmt.Errorf("auth.key_rules: %w", err)
			}
		}
		all[name] = p
	}
	return all, nil
}

// tokens are those of users; nil if none are taken.
func tokens(s *config.Settings, logger *slog.Logger) (*auth.Tokens, error) {
	j := &s.Auth.JWT
	if len(j.Algorithms) == 0 {
		return nil, nil
	}
	o := auth.TokenOptions{
		Algorithms:     j.Algorithms,
		PublicKeyFiles: j.PublicKeys,
		JWKSURL:        j.JWKSURL,
		JWKSRefresh:    j.JWKSRefresh,
		Issuer:         j.Issuer,
		Audience:       j.Audience,
		MaxAge:         j.MaxAge,
		Leeway:         j.Leeway,
		Grace:          j.Grace,
		Logger:         logger,
	}
	if secret := j.Secret.Reveal(); secret != "" {
		o.Secrets = [][]byte{[]byte(secret)}
	}
	if j.SecretFile != "" {
		var err error
		if o.Secrets, err = auth.ReadSecrets(j.SecretFile); err != nil {
			return nil, fmt.Errorf("auth.jwt.secret_file: %w", err)
		}
	}
	t, err := auth.NewTokens(o)
	if err != nil {
		return nil, fmt.Errorf("auth.jwt: %w", err)
	}
	return t, nil
}

func gatewayLimits(l *config.Limits) gateway.Limits {
	wait := l.Wait
	if wait == 0 {
		wait = -1 // 0 is the gateway's default
	}
	return gateway.Limits{
		Message:     int(l.Message),
		Batch:       l.Batch,
		Channels:    l.Channels,
		Wait:        wait,
		Connections: l.Connections,
	}
}

func clientLimits(l *config.Limits) limit.Options {
	rate := func(perSecond int) limit.Rate { return limit.Rate{PerSecond: float64(perSecond)} }
	return limit.Options{
		AddressConnections: l.AddressConnections,
		UserConnections:    l.UserConnections,
		AddressRequests:    rate(l.AddressRequests),
		UserRequests:       rate(l.UserRequests),
		AddressPublishes:   rate(l.AddressPublishes),
		UserPublishes:      rate(l.UserPublishes),
	}
}

// keepNew has run keep the keys of t new, and of no other tokens.
func (a *access) keepNew(t *auth.Tokens) {
	select {
	case <-a.keep: // which run has not come to
	default:
	}
	a.keep <- t
}

// run keeps the tokens' keys new until ctx ends.
func (a *access) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	stop := func() {}
	for {
		select {
		case t := <-a.keep:
			stop()
			if t != nil {
				var until context.Context
				until, stop = context.WithCancel(ctx)
				running.Go(func() { t.Run(until) })
			}
		case <-ctx.Done():
			stop()
			return
		}
	}
}
