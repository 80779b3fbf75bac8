package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxToken bounds a token, in bytes, before anything is done with it.
const maxToken = 16 << 10

// TokenOptions is which tokens are taken.
type TokenOptions struct {
	Algorithms     []string      // of Algorithms; at least one
	Secrets        [][]byte      // for HS256, HS384 and HS512; 32 bytes at least; any may have signed
	PublicKeyFiles []string      // PEM, for all other algorithms; any key may have signed
	JWKSURL        string        // https, or http on loopback; has keys like PublicKeyFiles; needs Run
	JWKSRefresh    time.Duration // how often they are fetched; default 15m

	Issuer   string        // iss must be this; "": anything
	Audience string        // aud must have this; "": anything
	MaxAge   time.Duration // how long after iat, which they must have, tokens are taken; 0: for ever, with or without
	Leeway   time.Duration // how far clocks may differ; default 0
	Grace    time.Duration // how long a stream outlives exp; default 0

	Logger *slog.Logger // of trouble with the JWKS URL; default: none
}

// Tokens verifies tokens. Its methods may be called concurrently.
type Tokens struct {
	options TokenOptions
	fixed   []*verifier
	fetched *jwks // nil without a URL
	parser  *jwt.Parser

	accepted, refused *cache
}

// NewTokens reads the files. Its error names everything that is wrong.
func NewTokens(o TokenOptions) (*Tokens, error) {
	t := &Tokens{
		options:  o,
		accepted: newCache(acceptedSize),
		refused:  newCache(refusedSize),
		// The claims are judged by TokenOptions.Judge, which tells why.
		parser: jwt.NewParser(jwt.WithValidMethods(o.Algorithms), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()),
	}
	var errs []error
	for i, secret := range o.Secrets {
		if err := checkSecret(secret); err != nil {
			errs = append(errs, fmt.Errorf("secret %d %w", i+1, err))
		}
		t.fixed = append(t.fixed, &verifier{key: secret})
	}
	for _, path := range o.PublicKeyFiles {
		found, err := readPublicKeys(path)
		if err != nil {
			errs = append(errs, err)
		}
		t.fixed = append(t.fixed, found...)
	}
	if o.MaxAge < 0 || o.Leeway < 0 || o.Grace < 0 {
		errs = append(errs, errors.New("max age, leeway and grace must not be negative"))
	}
	if o.JWKSURL != "" {
		var err error
		if t.fetched, err = newJWKS(o); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		errs = t.checkAlgorithms()
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

// checkAlgorithms reports algorithms without a key and keys without an
// algorithm: either means that somebody's tokens are not taken.
func (t *Tokens) checkAlgorithms() (errs []error) {
	if len(t.options.Algorithms) == 0 {
		errs = append(errs, errors.New("no algorithm is listed: write those that your tokens are signed with, as in [\"HS256\"]"))
	}
	for _, algorithm := range t.options.Algorithms {
		switch {
		case !slices.Contains(algorithms, algorithm):
			errs = append(errs, fmt.Errorf("there is no algorithm %q: write some of %s", algorithm, strings.Join(algorithms, ", ")))
		case isHMAC(algorithm) && !t.hasFor(algorithm):
			errs = append(errs, fmt.Errorf("the algorithm %s needs a secret", algorithm))
		case t.fetched == nil && !t.hasFor(algorithm):
			errs = append(errs, fmt.Errorf("the algorithm %s needs a public key of its kind, or a JWKS URL", algorithm))
		}
	}
	for _, v := range t.fixed {
		if len(errs) == 0 && !slices.ContainsFunc(t.options.Algorithms, v.fits) {
			errs = append(errs, fmt.Errorf("a %s is of no use with the algorithms %s: list one of its kind too, or remove it", v.kind(), strings.Join(t.options.Algorithms, ", ")))
		}
	}
	return errs
}

func (t *Tokens) hasFor(algorithm string) bool {
	return slices.ContainsFunc(t.fixed, func(v *verifier) bool { return v.fits(algorithm) })
}

// Run fetches the keys of the JWKS URL until ctx ends. Without a URL it returns
// at once. It must not run twice.
func (t *Tokens) Run(ctx context.Context) {
	if t.fetched != nil {
		t.fetched.run(ctx)
	}
}

// Verify returns whose the token is. Errors, waiting and sharing are as in
// Authenticator.Authenticate, but nothing is known of revocation.
func (t *Tokens) Verify(ctx context.Context, token string) (*Principal, error) {
	if p, known, err := t.Known(token); known {
		return p, err
	}
	set := t.fetched.current()
	claims, err := t.parse(token, set)
	if errors.Is(err, errNotFetched) {
		if newer := t.fetched.newer(ctx, set); newer != set {
			set = newer
			claims, err = t.parse(token, set)
		}
	}
	switch {
	case errors.Is(err, errNotFetched) && set == nil:
		return nil, ErrKeysUnavailable
	case errors.Is(err, errNotFetched):
		// It is not remembered: no signature was verified, and its key may be
		// published at any time.
		return nil, refuse(BadSignature, "The token names a key (kid) that its issuer does not publish at auth.jwt.jwks_url: get a new token.")
	}
	if err == nil {
		err = t.options.Judge(claims)
	}
	if err != nil {
		t.rememberRefusal(token, set, err)
		return nil, err
	}
	p := t.principal(claims)
	t.accepted.put(hashOf(token), &verdict{principal: p, set: set})
	return p, nil
}

// Known is Verify for a token that was verified lately; it verifies no signature
// and never waits. Else known is false.
func (t *Tokens) Known(token string) (p *Principal, known bool, err error) {
	if len(token) > maxToken {
		return nil, true, refuse(Malformed, "The token is too long: it may have %d bytes.", maxToken)
	}
	hash, set := hashOf(token), t.fetched.current()
	if v := t.accepted.get(hash, set); v != nil {
		// All else that was judged before the token came into the cache stays so.
		if err := t.options.judgeEnd(v.principal.IssuedAt, v.principal.Expires, time.Now()); err != nil {
			return nil, true, err
		}
		return v.principal, true, nil
	}
	if v := t.refused.get(hash, set); v != nil {
		return nil, true, v.refusal
	}
	return nil, false, nil
}

// rememberRefusal remembers err, unless time alone changes it soon.
func (t *Tokens) rememberRefusal(token string, set *keySet, err error) {
	if refusal, ok := errors.AsType[*Error](err); ok && refusal.Reason != NotYetValid {
		t.refused.put(hashOf(token), &verdict{refusal: refusal, until: time.Now().Add(refusedFor), set: set})
	}
}

// Judge is why a token of these claims would be refused although its signature
// is good: an *Error, or nil.
func (o *TokenOptions) Judge(c *Claims) error {
	now := time.Now()
	if err := c.check(); err != nil {
		return err
	}
	switch {
	case now.Add(o.Leeway).Before(c.NotBefore):
		return refuseFor(c.NotBefore.Sub(now), NotYetValid, "The token is valid from %s on: wait, or see that the clocks agree (auth.jwt.leeway).", c.NotBefore.UTC().Format(time.RFC3339))
	case now.Add(o.Leeway).Before(c.IssuedAt):
		// It would escape every revocation until then.
		return refuseFor(c.IssuedAt.Sub(now), NotYetValid, "The token says that it will be issued at %s: see that the clocks agree (auth.jwt.leeway).", c.IssuedAt.UTC().Format(time.RFC3339))
	case o.Issuer != "" && c.Issuer != o.Issuer:
		return refuse(WrongIssuer, "The claim iss of the token must be %q (auth.jwt.issuer): get one from there.", o.Issuer)
	case o.Audience != "" && !slices.Contains(c.Audience, o.Audience):
		return refuse(WrongAudience, "The claim aud of the token must have %q (auth.jwt.audience): get one that is meant for this node.", o.Audience)
	}
	return o.judgeEnd(c.IssuedAt, c.Expires, now)
}

// judgeEnd judges what changes while a token is in use. There is no leeway for
// MaxAge: a revocation must be remembered as long.
func (o *TokenOptions) judgeEnd(issued, expires, now time.Time) error {
	switch {
	case !expires.IsZero() && !now.Before(expires.Add(o.Leeway)):
		return refuse(Expired, "The token expired at %s: get a new one.", expires.UTC().Format(time.RFC3339))
	case o.MaxAge > 0 && issued.IsZero():
		return refuse(Malformed, "The token has no claim iat: it must say when it was issued, as tokens are taken for %v after that (auth.jwt.max_age).", o.MaxAge)
	case o.MaxAge > 0 && !now.Before(issued.Add(o.MaxAge)):
		return refuse(Expired, "The token was issued at %s, and is taken for %v after that (auth.jwt.max_age): get a new one.", issued.UTC().Format(time.RFC3339), o.MaxAge)
	}
	return nil
}

func (t *Tokens) principal(c *Claims) *Principal {
	p := &Principal{Permissions: c.Permissions, User: c.Subject, Info: c.Info, IssuedAt: c.IssuedAt, Expires: c.Expires}
	if !p.Expires.IsZero() {
		p.Ends = p.Expires.Add(max(t.options.Grace, t.options.Leeway))
	}
	if t.options.MaxAge > 0 {
		if end := p.IssuedAt.Add(t.options.MaxAge + t.options.Grace); p.Ends.IsZero() || end.Before(p.Ends) {
			p.Ends = end
		}
	}
	return p
}
