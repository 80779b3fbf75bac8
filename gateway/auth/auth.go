// Package auth authenticates requests and holds permissions: tokens (JWT) of users,
// API keys of back ends, and anonymous access. It only reads requests; the gateway
// answers them. docs/security.md describes it for users.
package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options of an Authenticator. The zero value refuses every request.
type Options struct {
	Tokens    *Tokens     // nil: no tokens are accepted
	Keys      *Keys       // nil: no keys are accepted
	Anonymous Permissions // of requests without a credential

	// Cookie is the name of the cookie that may hold a token; "": no cookie.
	// Browsers send cookies with requests of any site. So methods other than GET,
	// HEAD and OPTIONS are accepted only from the request's own host and from
	// Origins (exact, as https://example.org).
	Cookie  string
	Origins []string

	// Revocations is checked for every token of every request. Nil: nothing is
	// revoked.
	Revocations *Revocations
}

// Authenticator finds the Principal of each request. Its methods may be called
// concurrently.
type Authenticator struct {
	options   Options
	anonymous *Principal
}

// New makes an Authenticator. Its error names each invalid option.
func New(o Options) (*Authenticator, error) {
	var errs []error
	if o.Cookie != "" && (&http.Cookie{Name: o.Cookie, Value: "x"}).Valid() != nil {
		errs = append(errs, fmt.Errorf("invalid cookie name %q: write letters, digits, - and _, as in __Host-token", o.Cookie))
	}
	for _, origin := range o.Origins {
		if !isOrigin(origin) {
			errs = append(errs, fmt.Errorf("invalid origin %q: write scheme and host, as in https://example.org", origin))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Authenticator{options: o, anonymous: &Principal{Permissions: o.Anonymous}}, nil
}

func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && text == u.Scheme+"://"+u.Host && text == strings.ToLower(text)
}

// Authenticate returns the principal of r: a user, a key, or anonymous. The error is
// an *Error or ErrKeysUnavailable. If a token names an unknown key of the JWKS URL,
// it waits a few seconds at most for a fetch, or until r's context ends. Without
// Tokens and Keys every request is anonymous, even with a credential.
//
// Requests share Principals, which must not be changed.
func (a *Authenticator) Authenticate(r *http.Request) (*Principal, error) {
	p, token, err := a.identify(r)
	if err != nil || token == "" {
		return p, err
	}
	return a.unlessRevoked(a.options.Tokens.Verify(r.Context(), token))
}

// Known is Authenticate from the cache: it verifies no signature and never blocks.
// known is false for a token whose signature was not verified lately. Then
// Authenticate decides.
func (a *Authenticator) Known(r *http.Request) (p *Principal, known bool, err error) {
	p, token, err := a.identify(r)
	if err != nil || token == "" {
		return p, true, err
	}
	p, known, err = a.options.Tokens.Known(token)
	p, err = a.unlessRevoked(p, err)
	return p, known, err
}

// KeysVersion identifies the keys at a time that may change while requests are
// authenticated.
type KeysVersion struct{ set *keySet }

// KeysVersion returns that of now.
func (a *Authenticator) KeysVersion() KeysVersion {
	if a.options.Tokens == nil {
		return KeysVersion{}
	}
	return KeysVersion{a.options.Tokens.fetched.current()}
}

// StillKnown reports whether Known would return p again for the request that it returned p
// for. keys is the KeysVersion of before.
func (a *Authenticator) StillKnown(p *Principal, keys KeysVersion) bool {
	switch {
	case p == a.anonymous || p.Key != "":
		return true // keys.go: they never change
	case keys != a.KeysVersion():
		return false
	}
	return a.options.Tokens.options.judgeEnd(p.IssuedAt, p.Expires, time.Now()) == nil &&
		a.options.Revocations.Check(p.User, p.IssuedAt) == nil
}

// identify returns the principal of r, or its token if it has one.
func (a *Authenticator) identify(r *http.Request) (p *Principal, token string, err error) {
	if a.options.Tokens == nil && a.options.Keys == nil && !a.anonymous.hasNothing() {
		return a.anonymous, "", nil // a credential may be for another program, such as a proxy
	}
	c, err := a.credentialOf(r)
	switch {
	case err != nil:
		return nil, "", err
	case c.from == nowhere && a.anonymous.hasNothing():
		return nil, "", refuse(Missing, "No credential was sent, and one is required: send a token or a key as `Authorization: Bearer …`, or a token in the parameter access_token.")
	case c.from == nowhere:
		return a.anonymous, "", nil
	}
	// Keys count only in the header: URLs and cookies are kept too long in too many
	// places.
	if c.from == header {
		if p := a.options.Keys.find(c.text); p != nil {
			return p, "", nil
		}
	}
	switch {
	case a.options.Tokens == nil:
		return nil, "", refuse(UnknownKey, "Unknown key: send one of the keys of this node (auth.keys) in the header Authorization, as Bearer and the key.%s", withoutName(c.text))
	case c.from == header && a.options.Keys != nil && !looksLikeToken(c.text):
		return nil, "", refuse(UnknownKey, "The credential in the header Authorization is neither a token nor one of the keys of this node (auth.keys).%s", withoutName(c.text))
	}
	return nil, c.text, nil
}

func (a *Authenticator) unlessRevoked(p *Principal, err error) (*Principal, error) {
	if p == nil || err != nil {
		return nil, err
	}
	if err := a.options.Revocations.Check(p.User, p.IssuedAt); err != nil {
		return nil, err
	}
	return p, nil
}

// CookieOrigins returns Options.Origins.
func (a *Authenticator) CookieOrigins() []string { return a.options.Origins }

// looksLikeToken distinguishes a malformed token from an unknown key.
func looksLikeToken(text string) bool { return strings.Count(text, ".") == 2 }

// withoutName returns a hint for a credential that looks like a line of
// auth.keys_file, name:secret, and otherwise nothing.
func withoutName(credential string) string {
	if !strings.Contains(credential, ":") {
		return ""
	}
	return " What was sent has a colon: send the secret of the key alone, without its name."
}
