package auth

import (
	"net/http"
	"net/url"
	"testing"
)

// TestSources has a good token, placed well and badly.
func TestSources(t *testing.T) {
	token := hs256(t, alice(nil))
	a := matrix(t)
	a.options.Cookie = "__Host-token"
	a.options.Origins = []string{"https://app.example"}
	for name, test := range map[string]struct {
		method, query string
		header        http.Header
		want          Reason
	}{
		"header":             {"GET", "", http.Header{"Authorization": {"Bearer " + token}}, ""},
		"query":              {"GET", "channel=a&access_token=" + token, nil, ""},
		"query, encoded":     {"GET", "%61ccess_token=" + url.QueryEscape(token), nil, ""},
		"cookie":             {"GET", "", http.Header{"Cookie": {"a=b; __Host-token=" + token}}, ""},
		"empty cookie":       {"GET", "", http.Header{"Cookie": {"__Host-token="}, "Authorization": {"Bearer " + token}}, ""},
		"other cookie":       {"GET", "", http.Header{"Cookie": {"token=" + token}}, Missing},
		"key in a cookie":    {"GET", "", http.Header{"Cookie": {"__Host-token=" + keyText}}, Malformed},
		"Basic":              {"GET", "", http.Header{"Authorization": {"Basic " + token}}, Malformed},
		"no scheme":          {"GET", "", http.Header{"Authorization": {token}}, Malformed},
		"nothing":            {"GET", "", http.Header{"Authorization": {"Bearer "}}, Malformed},
		"empty query":        {"GET", "access_token=", nil, Malformed},
		"query badly done":   {"GET", "access_token=%zz" + token, nil, Malformed},
		"two headers":        {"GET", "", http.Header{"Authorization": {"Bearer " + token, "Bearer " + token}}, Several},
		"two cookies":        {"GET", "", http.Header{"Cookie": {"__Host-token=" + token + "; __Host-token=" + token}}, Several},
		"two parameters":     {"GET", "access_token=" + token + "&access_token=" + token, nil, Several},
		"header and query":   {"GET", "access_token=" + token, http.Header{"Authorization": {"Bearer " + token}}, Several},
		"header and cookie":  {"POST", "", http.Header{"Cookie": {"__Host-token=" + token}, "Authorization": {"Bearer " + token}}, Several},
		"POST header":        {"POST", "", http.Header{"Authorization": {"Bearer " + token}}, ""},
		"POST cookie":        {"POST", "", http.Header{"Cookie": {"__Host-token=" + token}}, WrongOrigin},
		"POST own host":      {"POST", "", http.Header{"Cookie": {"__Host-token=" + token}, "Origin": {"https://comet.example"}}, ""},
		"POST in list":       {"POST", "", http.Header{"Cookie": {"__Host-token=" + token}, "Origin": {"https://app.example"}}, ""},
		"POST list, scheme":  {"POST", "", http.Header{"Cookie": {"__Host-token=" + token}, "Origin": {"http://app.example"}}, WrongOrigin},
		"POST elsewhere":     {"POST", "", http.Header{"Cookie": {"__Host-token=" + token}, "Origin": {"https://comet.example.evil"}}, WrongOrigin},
		"POST another port":  {"POST", "", http.Header{"Cookie": {"__Host-token=" + token}, "Origin": {"https://comet.example:8443"}}, WrongOrigin},
		"POST null":          {"POST", "", http.Header{"Cookie": {"__Host-token=" + token}, "Origin": {"null"}}, WrongOrigin},
		"POST user in host":  {"POST", "", http.Header{"Cookie": {"__Host-token=" + token}, "Origin": {"https://x@comet.example"}}, WrongOrigin},
		"POST two origins":   {"POST", "", http.Header{"Cookie": {"__Host-token=" + token}, "Origin": {"https://app.example", "https://app.example"}}, WrongOrigin},
		"DELETE cookie":      {"DELETE", "", http.Header{"Cookie": {"__Host-token=" + token}}, WrongOrigin},
		"OPTIONS cookie":     {"OPTIONS", "", http.Header{"Cookie": {"__Host-token=" + token}}, ""},
		"made up method":     {"get", "", http.Header{"Cookie": {"__Host-token=" + token}}, WrongOrigin},
		"GET from elsewhere": {"GET", "", http.Header{"Cookie": {"__Host-token=" + token}, "Origin": {"https://evil.example"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := &http.Request{Method: test.method, Host: "comet.example", URL: &url.URL{Path: "/", RawQuery: test.query}, Header: test.header}
			p, err := a.Authenticate(r)
			wantReason(t, err, test.want, token)
			if err == nil && p.User != "alice" {
				t.Errorf("got %+v", p)
			}
		})
	}
}

var stripTests = []struct{ raw, want string }{
	{"", ""},
	{"channel=a", "channel=a"},
	{"access_token=x", ""},
	{"access_token", ""},
	{"channel=a&access_token=x&channel=b", "channel=a&channel=b"},
	{"access_token=x&access_token=y&a", "a"},
	{"%61ccess%5ftoken=x&a=%zz", "a=%zz"},
	{"ACCESS_TOKEN=x&a=access_token", "a=access_token"},
	{"a=b;access_token=x", ""},
	{"%zzaccess_token=x", ""},
	{"a&&b", "a&&b"},
}

func TestStrip(t *testing.T) {
	for _, test := range stripTests {
		if got := StripQuery(test.raw); got != test.want {
			t.Errorf("%q: got %q, want %q", test.raw, got, test.want)
		}
		u := &url.URL{Scheme: "https", Host: "h", Path: "/p", RawQuery: test.raw}
		if got := StripToken(u); got.RawQuery != test.want || got.Path != "/p" || u.RawQuery != test.raw || (got == u) != (test.raw == test.want) {
			t.Errorf("%q: got %v of %v", test.raw, got, u)
		}
	}
}
