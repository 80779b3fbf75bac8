package auth

import (
	"net/url"
	"slices"
	"strings"
)

const tokenParameter = "access_token"

// queryTokens returns the values of access_token in a raw query, still encoded.
func queryTokens(raw string) []string {
	if raw == "" {
		return nil
	}
	var values []string
	for pair := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err == nil && name == tokenParameter {
			values = append(values, value)
		}
	}
	return values
}

// StripToken returns u without access_token, for logs and errors, or u itself if it
// has none. Request.RequestURI and the header Referer may hold a token too.
func StripToken(u *url.URL) *url.URL {
	stripped := StripQuery(u.RawQuery)
	if stripped == u.RawQuery {
		return u
	}
	clean := *u
	clean.RawQuery = stripped
	return &clean
}

// StripQuery returns a raw query without access_token. The rest is unchanged, even if
// it is malformed.
func StripQuery(raw string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(raw, "&"), mayBeToken), "&")
}

// mayBeToken reports whether a pair of a query may have a token: also in other case,
// wrongly encoded, or after a semicolon, which some clients use as a separator.
func mayBeToken(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	if strings.Contains(pair, ";") {
		name = pair
	}
	plain, err := url.QueryUnescape(name)
	return err != nil || strings.Contains(strings.ToLower(plain), tokenParameter)
}
