package limit

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const (
	site  = "https://chat.example.com"
	other = "https://evil.example.com"
)

// answerOf returns what a page of origin gets from a handler, wrapped by CORS, that
// answers 200 and sets a Vary.
func answerOf(t *testing.T, origins []string, method, origin string, header map[string]string) *http.Response {
	t.Helper()
	middleware, err := CORS(origins)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept")
		w.WriteHeader(http.StatusOK)
	})).ServeHTTP(w, requestFrom(method, origin, header))
	return w.Result()
}

// requestFrom is a request that a page of origin sends; empty: not a page.
func requestFrom(method, origin string, header map[string]string) *http.Request {
	r := httptest.NewRequest(method, "/v1/events", nil)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	return r
}

// granted are the fields that let a page do something.
func granted(header http.Header) http.Header {
	header = header.Clone()
	maps.DeleteFunc(header, func(name string, _ []string) bool { return !strings.HasPrefix(name, "Access-Control-") })
	return header
}

var exposed = []string{"Comet-Node, Retry-After, X-Request-Id"}

// actual are the cases of CORS for what is not a preflight.
var actual = []struct {
	name            string
	origins         []string
	origin          string
	want            http.Header
	differsByOrigin bool
}{
	{"listed", []string{other + "2", site}, site, http.Header{
		"Access-Control-Allow-Origin":      {site},
		"Access-Control-Allow-Credentials": {"true"},
		"Access-Control-Expose-Headers":    exposed,
	}, true},
	{"not listed", []string{site}, other, http.Header{}, true},
	{"another port", []string{site}, site + ":8443", http.Header{}, true},
	{"another scheme", []string{site}, "http://chat.example.com", http.Header{}, true},
	{"another case", []string{site}, "https://Chat.example.com", http.Header{}, true},
	{"longer", []string{site}, site + ".evil.example", http.Header{}, true},
	{"null", []string{site}, "null", http.Header{}, true},
	{"no origin", []string{site}, "", http.Header{}, true},
	{"any", []string{"*"}, other, http.Header{
		"Access-Control-Allow-Origin":   {"*"},
		"Access-Control-Expose-Headers": exposed,
	}, true},
	{"none", nil, site, http.Header{}, false},
	{"none, and empty", []string{}, site, http.Header{}, false},
}

func TestCORS(t *testing.T) {
	for _, tt := range actual {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			answer := answerOf(t, tt.origins, method, tt.origin, nil)
			if got := granted(answer.Header); answer.StatusCode != http.StatusOK || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s, %s: got %s %v, want %v", tt.name, method, answer.Status, got, tt.want)
			}
			if got := slices.Contains(answer.Header["Vary"], "Origin"); got != tt.differsByOrigin {
				t.Errorf("%s, %s: Vary is %q", tt.name, method, answer.Header["Vary"])
			}
		}
	}
}

// TestCORSHeader: both ways to answer a GET say the same.
func TestCORSHeader(t *testing.T) {
	for _, tt := range actual {
		middleware, err := CORS(tt.origins)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		nothing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
		middleware(nothing).ServeHTTP(w, requestFrom(http.MethodGet, tt.origin, nil))
		header := CORSHeader(middleware)
		for range 2 { // what the caller adds stays with it
			got := header(requestFrom(http.MethodGet, tt.origin, nil))
			if want := w.Result().Header; !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %v, want %v", tt.name, got, want)
			}
			got.Add("Vary", "Accept")
			got.Set("Comet-Node", "a")
		}
	}
}

func TestCORSPreflight(t *testing.T) {
	allowed := []string{"GET", "POST", "DELETE", "OPTIONS"}
	for _, tt := range []struct {
		name, origin    string
		origins         []string
		methods, fields []string // asked for, each in turn
		want            bool
	}{
		{"listed", site, []string{site}, allowed, []string{"", "authorization", "authorization,content-type,idempotency-key,last-event-id"}, true},
		{"traced", site, []string{site}, allowed, []string{
			"baggage,traceparent,tracestate", "baggage,sentry-trace", "b3", "x-b3-sampled,x-b3-spanid,x-b3-traceid",
			"authorization,traceparent,x-datadog-origin,x-datadog-parent-id,x-datadog-sampling-priority,x-datadog-trace-id",
			"elastic-apm-traceparent", "newrelic", "uber-trace-id", "x-amzn-trace-id", "x-cloud-trace-context", "request-context,request-id",
		}, true},
		{"field among others", site, []string{site}, allowed, []string{"Traceparent, X-Forwarded-Host"}, false},
		{"any", other, []string{"*"}, allowed, []string{"", "authorization"}, true},
		{"not listed", other, []string{site}, allowed, []string{""}, false},
		{"method", site, []string{site}, []string{"PUT", "PATCH", "get"}, []string{""}, false},
		{"field", site, []string{site}, allowed, []string{"x-forwarded-for", "authorization,x"}, false},
	} {
		for _, method := range tt.methods {
			for _, fields := range tt.fields {
				header := map[string]string{"Access-Control-Request-Method": method}
				if fields != "" {
					header["Access-Control-Request-Headers"] = fields
				}
				answer := answerOf(t, tt.origins, http.MethodOptions, tt.origin, header)
				got := granted(answer.Header)
				want := http.Header{}
				if tt.want {
					want = http.Header{
						"Access-Control-Allow-Origin":  {tt.origin},
						"Access-Control-Allow-Methods": {method},
						"Access-Control-Max-Age":       {"7200"},
					}
					if tt.origins[0] == "*" {
						want.Set("Access-Control-Allow-Origin", "*")
					} else {
						want.Set("Access-Control-Allow-Credentials", "true")
					}
					if fields != "" {
						want.Set("Access-Control-Allow-Headers", fields)
					}
				}
				if answer.StatusCode != http.StatusNoContent || !reflect.DeepEqual(got, want) {
					t.Errorf("%s, %s with %q: got %s %v, want %v", tt.name, method, fields, answer.Status, got, want)
				}
			}
		}
	}
}

// TestCORSPreflightFields: the fields that a preflight asks for may be written
// in any way that HTTP has.
func TestCORSPreflightFields(t *testing.T) {
	for fields, want := range map[string]string{
		"Tracestate, traceparent,  Baggage": "baggage,traceparent,tracestate",
		"traceparent,Traceparent":           "traceparent",
		",TraceParent,,":                    "traceparent",
		" ,":                                "",
	} {
		answer := answerOf(t, []string{site}, http.MethodOptions, site, map[string]string{
			"Access-Control-Request-Method": http.MethodGet, "Access-Control-Request-Headers": fields,
		})
		if got := answer.Header.Get("Access-Control-Allow-Headers"); strings.Trim(got, " ,") != want || answer.Header.Get("Access-Control-Allow-Origin") != site {
			t.Errorf("%q: got %v, want %q", fields, granted(answer.Header), want)
		}
	}
}

// TestCORSNoPreflight: the handler answers an OPTIONS that is not a preflight and,
// without origins, every OPTIONS.
func TestCORSNoPreflight(t *testing.T) {
	if answer := answerOf(t, []string{site}, http.MethodOptions, site, nil); answer.StatusCode != http.StatusOK {
		t.Errorf("a plain OPTIONS got %s", answer.Status)
	}
	preflight := map[string]string{"Access-Control-Request-Method": "POST"}
	if answer := answerOf(t, nil, http.MethodOptions, site, preflight); answer.StatusCode != http.StatusOK || len(granted(answer.Header)) > 0 {
		t.Errorf("a preflight without origins got %s %v", answer.Status, answer.Header)
	}
}

// TestCORSIsACopy: the caller's list may change afterwards.
func TestCORSIsACopy(t *testing.T) {
	origins := []string{site}
	middleware, err := CORS(origins)
	if err != nil {
		t.Fatal(err)
	}
	origins[0] = other
	if got := CORSHeader(middleware)(requestFrom(http.MethodGet, other, nil)); len(granted(got)) > 0 {
		t.Errorf("got %v", got)
	}
}

// origins that can be listed.
var origins = []string{
	site, "http://localhost", "http://localhost:3000", "https://example.com:8443", "http://127.0.0.1:8080",
	"http://[::1]:8080", "https://xn--bcher-kva.example", "capacitor://localhost",
}

// notOrigins have what their errors must say.
var notOrigins = map[string]string{
	"":                         "is not an origin",
	"example.com":              "is not an origin",
	"example.com:8080":         "is not an origin",
	"//example.com":            "is not an origin",
	"https://":                 "is not an origin",
	"https://:443":             "is not an origin",
	"https://a@example.com":    "is not an origin",
	"https://example.com:port": "is not an origin",
	"https://exam ple.com":     "is not an origin",
	"file:///index.html":       "is not an origin",
	"https://bücher.example":   "xn--",
	"null":                     "sandboxed",
	"https://*.example.com":    "which must be alone",
	"https://example.com/":     "write https://example.com",
	"https://example.com/chat": "write https://example.com",
	"https://example.com?a":    "write https://example.com",
	"https://example.com#a":    "write https://example.com",
	"HTTPS://Example.com":      "write https://example.com",
	"https://example.com:443":  "write https://example.com",
	"http://example.com:80":    "write http://example.com",
	"http://example.com:":      "write http://example.com",
}

func TestCORSOrigins(t *testing.T) {
	if _, err := CORS(origins); err != nil {
		t.Error(err)
	}
	for origin, want := range notOrigins {
		_, err := CORS([]string{site, origin})
		if err == nil || !strings.HasPrefix(err.Error(), "http.cors.origins: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", origin, err, want)
		}
	}
	for _, list := range [][]string{{"*", site}, {site, "*"}, {"*", "*"}} {
		if _, err := CORS(list); err == nil || !strings.Contains(err.Error(), "must be alone") {
			t.Errorf("%q: got %v", list, err)
		}
	}
	if _, err := CORS([]string{"a", site, "b"}); err == nil || strings.Count(err.Error(), "http.cors.origins: ") != 2 {
		t.Errorf("two mistakes: got %v", err)
	}
}

// FuzzCORSOrigin: a valid item is an origin, and permits only that origin.
func FuzzCORSOrigin(f *testing.F) {
	for _, origin := range origins {
		f.Add(origin)
	}
	for origin := range notOrigins {
		f.Add(origin)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		middleware, err := CORS([]string{origin})
		if err != nil || origin == "*" {
			return
		}
		u, err := url.Parse(origin)
		if err != nil || u.Scheme+"://"+u.Host != origin {
			t.Errorf("%q is no origin: %v", origin, err)
		}
		header := CORSHeader(middleware)
		if got := header(requestFrom(http.MethodGet, origin, nil)).Get("Access-Control-Allow-Origin"); got != origin {
			t.Errorf("%q is not permitted: %q", origin, got)
		}
		if got := granted(header(requestFrom(http.MethodGet, origin+"x", nil))); len(got) > 0 {
			t.Errorf("%q permits another: %v", origin, got)
		}
	})
}
