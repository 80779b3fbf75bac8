package auth

import (
	"net/url"
	"slices"
	"strings"
)

const tokenParameter = "access_token"

// queryTokens is the value of each access_token in a raw query, still encoded.
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

// StripToken is u without any access_token, for logs, errors and whatever else
// outlives the request; u itself if there is none. Beware of Request.RequestURI
// and of the header Referer, which may have it too.
func StripToken(u *url.URL) *url.URL {
	stripped := StripQuery(u.RawQuery)
	if stripped == u.RawQuery {
		return u
	}
	clean := *u
	clean.RawQuery = stripped
	return &clean
}

// StripQuery is a raw query without any access_token. The rest stays as it is,
// malformed or not.
func StripQuery(raw string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(raw, "&"), mayBeToken), "&")
}

// mayBeToken reports whether a pair of a query has a token, or had one if its
// sender had written it well: in other case, wrongly encoded, or behind a
// semicolon, at which some clients cut.
func mayBeToken(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	if strings.Contains(pair, ";") {
		name = pair
	}
	plain, err := url.QueryUnescape(name)
	return err != nil || strings.Contains(strings.ToLower(plain), tokenParameter)
}
