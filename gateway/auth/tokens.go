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

// maxToken bounds a token, in bytes. A longer one is not parsed.
const maxToken = 16 << 10

// TokenOptions are the options of Tokens.
type TokenOptions struct {
	Algorithms     []string      // accepted, of Algorithms(); at least one
	Secrets        [][]byte      // for HS256, HS384 and HS512; at least 32 bytes each
	PublicKeyFiles []string      // PEM, for all other algorithms
	JWKSURL        string        // of more public keys; https, or http on loopback; needs Run
	JWKSRefresh    time.Duration // interval of fetches; default 15m

	Issuer   string        // required iss; "": any
	Audience string        // required in aud; "": any
	MaxAge   time.Duration // maximum age after iat, which is then required; 0: no maximum
	Leeway   time.Duration // maximum difference of clocks; default 0
	Grace    time.Duration // how long a stream stays open after exp; default 0

	Logger *slog.Logger // for problems with the JWKS URL; default: no log
}

// Tokens verifies tokens. Its methods may be called concurrently.
type Tokens struct {
	options TokenOptions
	fixed   []*verifier
	fetched *jwks // nil without a URL
	parser  *jwt.Parser

	accepted, refused *cache
}

// NewTokens reads the files. Its error names everything that is invalid.
func NewTokens(o TokenOptions) (*Tokens, error) {
	t := &Tokens{
		options:  o,
		accepted: newCache(acceptedSize),
		refused:  newCache(refusedSize),
		// TokenOptions.Judge validates the claims, with reasons.
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

// checkAlgorithms reports algorithms without a key and keys without an algorithm.
func (t *Tokens) checkAlgorithms() (errs []error) {
	if len(t.options.Algorithms) == 0 {
		errs = append(errs, errors.New("no algorithm is set: list the algorithms of your tokens, as in [\"HS256\"]"))
	}
	for _, algorithm := range t.options.Algorithms {
		switch {
		case !slices.Contains(algorithms, algorithm):
			errs = append(errs, fmt.Errorf("unknown algorithm %q: use some of %s", algorithm, strings.Join(algorithms, ", ")))
		case isHMAC(algorithm) && !t.hasFor(algorithm):
			errs = append(errs, fmt.Errorf("the algorithm %s needs a secret", algorithm))
		case t.fetched == nil && !t.hasFor(algorithm):
			errs = append(errs, fmt.Errorf("the algorithm %s needs a public key of its kind, or a JWKS URL", algorithm))
		}
	}
	for _, v := range t.fixed {
		if len(errs) == 0 && !slices.ContainsFunc(t.options.Algorithms, v.fits) {
			errs = append(errs, fmt.Errorf("a %s has no effect with the algorithms %s: add an algorithm of its kind, or remove it", v.kind(), strings.Join(t.options.Algorithms, ", ")))
		}
	}
	return errs
}

func (t *Tokens) hasFor(algorithm string) bool {
	return slices.ContainsFunc(t.fixed, func(v *verifier) bool { return v.fits(algorithm) })
}

// Run fetches the keys of the JWKS URL until ctx ends. Without a URL it returns at
// once. It must be called only once.
func (t *Tokens) Run(ctx context.Context) {
	if t.fetched != nil {
		t.fetched.run(ctx)
	}
}

// Verify returns the principal of a token. Errors, blocking and sharing are as in
// Authenticator.Authenticate. It does not check revocations.
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
		// Not cached: no signature was verified, and the key may be published at
		// any time.
		return nil, refuse(BadSignature, "The key of the token (kid) is not published at auth.jwt.jwks_url: get a new token.")
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

// Known is Verify from the cache: it verifies no signature and never blocks. known is
// false for a token that is not cached.
func (t *Tokens) Known(token string) (p *Principal, known bool, err error) {
	if len(token) > maxToken {
		return nil, true, refuse(Malformed, "The token is longer than %d bytes.", maxToken)
	}
	hash, set := hashOf(token), t.fetched.current()
	if v := t.accepted.get(hash, set); v != nil {
		// Other results of Judge do not change after the token was cached.
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

// rememberRefusal caches err, unless it ends by itself soon.
func (t *Tokens) rememberRefusal(token string, set *keySet, err error) {
	if refusal, ok := errors.AsType[*Error](err); ok && refusal.Reason != NotYetValid {
		t.refused.put(hashOf(token), &verdict{refusal: refusal, until: time.Now().Add(refusedFor), set: set})
	}
}

// Judge returns an *Error if a token with these claims is refused although its
// signature is valid, or nil.
func (o *TokenOptions) Judge(c *Claims) error {
	now := time.Now()
	if err := c.check(); err != nil {
		return err
	}
	switch {
	case now.Add(o.Leeway).Before(c.NotBefore):
		return refuseFor(c.NotBefore.Sub(now), NotYetValid, "The token is not valid before %s: wait, or check the clocks (auth.jwt.leeway).", c.NotBefore.UTC().Format(time.RFC3339))
	case now.Add(o.Leeway).Before(c.IssuedAt):
		// Revocations before that time would not apply to it.
		return refuseFor(c.IssuedAt.Sub(now), NotYetValid, "The claim iat of the token is in the future, %s: check the clocks (auth.jwt.leeway).", c.IssuedAt.UTC().Format(time.RFC3339))
	case o.Issuer != "" && c.Issuer != o.Issuer:
		return refuse(WrongIssuer, "The claim iss of the token must be %q (auth.jwt.issuer): get a token from that issuer.", o.Issuer)
	case o.Audience != "" && !slices.Contains(c.Audience, o.Audience):
		return refuse(WrongAudience, "The claim aud of the token must include %q (auth.jwt.audience): get a token for that audience.", o.Audience)
	}
	return o.judgeEnd(c.IssuedAt, c.Expires, now)
}

// judgeEnd checks what changes while a token is in use. MaxAge has no leeway, as
// revocations are kept as long.
func (o *TokenOptions) judgeEnd(issued, expires, now time.Time) error {
	switch {
	case !expires.IsZero() && !now.Before(expires.Add(o.Leeway)):
		return refuse(Expired, "The token expired at %s: get a new one.", expires.UTC().Format(time.RFC3339))
	case o.MaxAge > 0 && issued.IsZero():
		return refuse(Malformed, "The token has no claim iat, which is required as tokens are accepted for %v after it (auth.jwt.max_age).", o.MaxAge)
	case o.MaxAge > 0 && !now.Before(issued.Add(o.MaxAge)):
		return refuse(Expired, "The token was issued at %s and is accepted for %v (auth.jwt.max_age): get a new one.", issued.UTC().Format(time.RFC3339), o.MaxAge)
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
