package limit

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rs/cors"
)

// corsAge is how many seconds a browser may remember what it may send; no
// browser takes more than it likes, and Chromium takes this much. What it may
// read is in every answer.
const corsAge = 7200

// CORS makes what lets pages of other origins call, as browsers ask for it: an
// origin is exactly `scheme://host` or `scheme://host:port`. It must come
// before anything that judges a method, because it answers preflights itself.
//
// Pages of a listed origin may send credentials. The list may be just `*`, for
// any origin: then none may, so cookies are never sent, but a token that the
// page itself has is. With no origins at all, no page of another origin gets
// to read an answer.
//
// Its error has all mistakes and names the setting, http.cors.origins.
func CORS(origins []string) (func(http.Handler) http.Handler, error) {
	if len(origins) == 0 {
		return func(next http.Handler) http.Handler { return next }, nil
	}
	options := cors.Options{
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodOptions},
		AllowedHeaders: append([]string{"Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Request-Id"}, tracingFields...),
		ExposedHeaders: []string{"Comet-Node", "Retry-After", "X-Request-Id"},
		MaxAge:         corsAge,
	}
	if slices.Equal(origins, []string{"*"}) {
		options.AllowedOrigins = origins
		return handlerOf(options), nil
	}
	var mistakes []error
	for _, origin := range origins {
		if err := checkOrigin(origin); err != nil {
			mistakes = append(mistakes, fmt.Errorf("http.cors.origins: %q %w", origin, err))
		}
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	listed := slices.Clone(origins)
	options.AllowCredentials = true
	options.AllowOriginFunc = func(origin string) bool { return slices.Contains(listed, origin) } // the library's own list ignores case
	return handlerOf(options), nil
}

// tracingFields are what libraries that trace pages add to each request: W3C
// Trace Context and Baggage; Sentry, B3, Datadog, Elastic, New Relic, Jaeger, AWS
// X-Ray, Google Cloud and Application Insights.
var tracingFields = []string{
	"Traceparent", "Tracestate", "Baggage",
	"Sentry-Trace",
	"B3", "X-B3-Traceid", "X-B3-Spanid", "X-B3-Parentspanid", "X-B3-Sampled", "X-B3-Flags",
	"X-Datadog-Trace-Id", "X-Datadog-Parent-Id", "X-Datadog-Origin", "X-Datadog-Sampling-Priority", "X-Datadog-Tags",
	"Elastic-Apm-Traceparent", "Newrelic", "Uber-Trace-Id", "X-Amzn-Trace-Id", "X-Cloud-Trace-Context",
	"Request-Id", "Request-Context",
}

func handlerOf(options cors.Options) func(http.Handler) http.Handler {
	c := cors.New(options)
	return func(next http.Handler) http.Handler {
		h := c.Handler(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions {
				r = withSortedFields(r)
			}
			h.ServeHTTP(w, r)
		})
	}
}

// withSortedFields is r with the fields that a preflight asks for in lower case,
// sorted and each once, as browsers send them (https://fetch.spec.whatwg.org/#cors-unsafe-request-header-names)
// and rs/cors wants them. Other clients, and proxies, write them otherwise.
func withSortedFields(r *http.Request) *http.Request {
	const name = "Access-Control-Request-Headers"
	fields := strings.FieldsFunc(strings.ToLower(strings.Join(r.Header[name], ",")), func(c rune) bool { return c == ',' || c == ' ' || c == '\t' })
	if len(fields) == 0 {
		return r
	}
	slices.Sort(fields)
	changed := *r
	changed.Header = r.Header.Clone()
	changed.Header.Set(name, strings.Join(slices.Compact(fields), ","))
	return &changed
}

// checkOrigin reports what is wrong with an origin that no browser would send.
func checkOrigin(origin string) error {
	if origin == "*" {
		return errors.New("must be alone: it is every origin, and forbids credentials, which a list allows; remove it or all others")
	}
	if strings.Contains(origin, "*") {
		return errors.New("has a *, which must be alone: write out each origin")
	}
	if origin == "null" {
		return errors.New("is sent by every sandboxed page and local file, whoever made it: remove it, and serve the page from an origin of its own")
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || u.User != nil {
		return errors.New("is not an origin: write its scheme and host, as in https://example.com, and its port if it has one of its own")
	}
	if !isASCII(u.Hostname()) {
		return errors.New("must have its host in the form that browsers send, which begins with xn--")
	}
	if as := sent(u); as != origin {
		return fmt.Errorf("is not what a browser sends, which would never match: write %s", as)
	}
	return nil
}

// sent is how a browser writes the origin of u: in lower case, without a path,
// and without the port that is its scheme's.
func sent(u *url.URL) string {
	host := strings.ToLower(u.Host)
	usual := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	return u.Scheme + "://" + strings.TrimSuffix(strings.TrimSuffix(host, usual), ":")
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > '~' })
}

// CORSHeader gives just the fields that middleware, from CORS, adds to the
// answer of a GET, for answers that are written without a handler. The map is
// the caller's to add to, its values are not to be changed. It is empty if no
// origins are set, and else differs from one Origin in r to the next.
func CORSHeader(middleware func(http.Handler) http.Handler) func(r *http.Request) http.Header {
	h := middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return func(r *http.Request) http.Header {
		w := headerOnly{}
		h.ServeHTTP(w, r)
		return http.Header(w)
	}
}

// headerOnly is an http.ResponseWriter whose body goes nowhere.
type headerOnly http.Header

func (h headerOnly) Header() http.Header         { return http.Header(h) }
func (h headerOnly) Write(b []byte) (int, error) { return len(b), nil }
func (h headerOnly) WriteHeader(int)             {}
