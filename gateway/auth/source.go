package auth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// source is where a request has its credential.
type source int

const (
	nowhere source = iota
	header
	cookie
	query
)

// credential is a token or key as received.
type credential struct {
	text string
	from source
}

// credentialOf returns the credential of r, if it has one.
func (a *Authenticator) credentialOf(r *http.Request) (credential, error) {
	var found credential
	n := 0
	for _, value := range r.Header["Authorization"] {
		text, err := bearer(value)
		if err != nil {
			return credential{}, err
		}
		found, n = credential{text, header}, n+1
	}
	for _, value := range queryTokens(r.URL.RawQuery) {
		text, err := url.QueryUnescape(value)
		if err != nil || text == "" {
			return credential{}, refuse(Malformed, "The parameter access_token is empty or not percent-encoded: set it to the token, or omit it.")
		}
		found, n = credential{text, query}, n+1
	}
	for _, text := range a.cookies(r) {
		found, n = credential{text, cookie}, n+1
	}
	switch {
	case n > 1:
		return credential{}, refuse(Several, "The request has %d credentials: send only one, in the header Authorization, in the cookie, or in the parameter access_token.", n)
	case found.from == cookie && !a.mayUseCookie(r):
		return credential{}, refuse(WrongOrigin, "A token in a cookie is accepted for %s only if the header Origin has this host or is one of auth.cookie.origins (Origin: %q, Host: %q): add the origin to the setting, let the proxy forward Host as the browser sent it, or send the token in the header Authorization.",
			methodName(r.Method), r.Header.Get("Origin"), r.Host)
	}
	return found, nil
}

// bearer returns the credential in a header Authorization (RFC 6750 section 2.1).
func bearer(value string) (string, error) {
	scheme, text, _ := strings.Cut(value, " ")
	text = strings.TrimSpace(text)
	if !strings.EqualFold(scheme, "Bearer") || text == "" {
		return "", refuse(Malformed, "The header Authorization must be the word Bearer, a space, and a token or key.")
	}
	return text, nil
}

// cookies returns the tokens in cookies. It skips empty ones, which a logout may
// leave.
func (a *Authenticator) cookies(r *http.Request) []string {
	if a.options.Cookie == "" || r.Header["Cookie"] == nil {
		return nil
	}
	var texts []string
	for _, c := range r.CookiesNamed(a.options.Cookie) {
		if c.Value != "" {
			texts = append(texts, c.Value)
		}
	}
	return texts
}

// mayUseCookie reports whether r must be from a trusted page. A page of another site
// cannot read the answer of a GET, but other methods change something. Behind a
// proxy the scheme is unknown, so only the host of the origin is compared.
func (a *Authenticator) mayUseCookie(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	origins := r.Header["Origin"]
	if len(origins) != 1 {
		return false
	}
	u, err := url.Parse(origins[0])
	return slices.Contains(a.options.Origins, origins[0]) ||
		err == nil && isOrigin(origins[0]) && strings.EqualFold(u.Host, r.Host)
}

// methodName returns m if it is a known method.
func methodName(m string) string {
	if slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, m) {
		return m
	}
	return "this method"
}
