// Package auth says who sent a request and what they may do: tokens (JWT) of
// users, keys of back ends, and what is open to everyone. It only reads
// requests; the gateway answers them. docs/security.md describes it for users.
package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Options of an Authenticator. The zero value lets nobody in.
type Options struct {
	Tokens    *Tokens     // nil: none are taken
	Keys      *Keys       // nil: none are taken
	Anonymous Permissions // of who shows no credential

	// Cookie is the name of the cookie that may hold a token; "": none. As a
	// browser sends it whoever asks, such a request counts only from the own
	// host or from one of Origins (exact, as https://example.org), unless its
	// method is GET, HEAD or OPTIONS.
	Cookie  string
	Origins []string

	// Revocations is asked for every token of every request. Nil: nothing is
	// revoked.
	Revocations *Revocations
}

// Authenticator finds the Principal of each request. Its methods may be called
// concurrently.
type Authenticator struct {
	options   Options
	anonymous *Principal
}

// New makes an Authenticator. Its error names each wrong option.
func New(o Options) (*Authenticator, error) {
	var errs []error
	if o.Cookie != "" && (&http.Cookie{Name: o.Cookie, Value: "x"}).Valid() != nil {
		errs = append(errs, fmt.Errorf("the name of the cookie, %q, is none: write letters, digits, - and _, as in __Host-token", o.Cookie))
	}
	for _, origin := range o.Origins {
		if !isOrigin(origin) {
			errs = append(errs, fmt.Errorf("%q is no origin: write scheme and host, as in https://example.org", origin))
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

// Authenticate returns who sent r: by its token, by its key, or anonymous. The
// error is an *Error, or ErrKeysUnavailable. While the keys of the JWKS URL are
// fetched again for a token that names an unknown one, it waits some seconds at
// most, or until r's context ends. Where neither tokens nor keys are accepted,
// everyone is anonymous, whatever they show.
//
// Many requests share a Principal: it must not be changed.
func (a *Authenticator) Authenticate(r *http.Request) (*Principal, error) {
	p, token, err := a.identify(r)
	if err != nil || token == "" {
		return p, err
	}
	return a.unlessRevoked(a.options.Tokens.Verify(r.Context(), token))
}

// Known is Authenticate without its cost: it verifies no signature and never
// waits. known is false for a token whose signature was not verified lately; then
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

// identify returns who sent r, if that needs no token, or the token.
func (a *Authenticator) identify(r *http.Request) (p *Principal, token string, err error) {
	if a.options.Tokens == nil && a.options.Keys == nil && !a.anonymous.hasNothing() {
		return a.anonymous, "", nil // what may be in the header is for another program, as a proxy
	}
	c, err := a.credentialOf(r)
	switch {
	case err != nil:
		return nil, "", err
	case c.from == nowhere && a.anonymous.hasNothing():
		return nil, "", refuse(Missing, "Nobody may do anything here without a credential: send a token or a key in the header Authorization, as Bearer and the token.")
	case c.from == nowhere:
		return a.anonymous, "", nil
	}
	// Only a program can send the header, and only programs have keys. In a URL
	// or a cookie a key would live too long in too many places.
	if c.from == header {
		if p := a.options.Keys.find(c.text); p != nil {
			return p, "", nil
		}
	}
	switch {
	case a.options.Tokens == nil:
		return nil, "", refuse(UnknownKey, "This key is not one of the keys of this node (auth.keys): send one that is, in the header Authorization, as Bearer and the key.")
	case c.from == header && a.options.Keys != nil && !looksLikeToken(c.text):
		return nil, "", refuse(UnknownKey, "What the header Authorization has is neither a token nor one of the keys of this node (auth.keys): send one that is.")
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

// CookieOrigins is Options.Origins.
func (a *Authenticator) CookieOrigins() []string { return a.options.Origins }

// looksLikeToken tells a broken token from a key that is not known.
func looksLikeToken(text string) bool { return strings.Count(text, ".") == 2 }
