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

// corsAge is how many seconds a browser may cache the answer to a preflight. It is the
// maximum of Chromium; browsers with a lower maximum use theirs.
const corsAge = 7200

// CORS returns middleware that lets pages of other origins call. An origin is exactly
// `scheme://host` or `scheme://host:port`, as browsers send it. The middleware must
// come before anything that checks methods, as it answers preflights.
//
// Pages of a listed origin may send credentials. The list `*` means any origin,
// without credentials: browsers send no cookies, but a page can send a token that it
// has. Without origins, pages of other origins cannot read answers.
//
// Its error lists every invalid origin and names the setting, http.cors.origins.
func CORS(origins []string) (func(http.Handler) http.Handler, error) {
	if len(origins) == 0 {
		return func(next http.Handler) http.Handler { return next }, nil
	}
	options := cors.Options{
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodOptions},
		AllowedHeaders: append([]string{"Authorization", "Comet-Tags", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Pragma", "X-Request-Id", "X-Requested-With"}, tracingFields...),
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
	options.AllowOriginFunc = func(origin string) bool { return slices.Contains(listed, origin) } // the list of the library ignores case
	return handlerOf(options), nil
}

// tracingFields are the header fields that tracing libraries in pages add to each
// request: W3C Trace Context and Baggage, Sentry, B3, Datadog, Elastic, New Relic,
// Jaeger, AWS X-Ray, Google Cloud and Application Insights.
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

// withSortedFields returns r with the fields of Access-Control-Request-Headers in
// lower case, sorted and without duplicates. rs/cors requires that, and browsers send
// them so (https://fetch.spec.whatwg.org/#cors-unsafe-request-header-names). Other
// clients and proxies may not.
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

// checkOrigin returns an error for an origin that no browser sends.
func checkOrigin(origin string) error {
	if origin == "*" {
		return errors.New("must be alone: it means every origin, without credentials; remove it or all others")
	}
	if strings.Contains(origin, "*") {
		return errors.New("has a *, which must be alone: list each origin")
	}
	if origin == "null" {
		return errors.New("is sent by every sandboxed page and local file: remove it, and serve the page from an origin of its own")
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || u.User != nil {
		return errors.New("is not an origin: write scheme and host, as in https://example.com, and the port if it is not the default")
	}
	if !isASCII(u.Hostname()) {
		return errors.New("has a host that is not ASCII: write it as browsers send it, beginning with xn--")
	}
	if as := sent(u); as != origin {
		return fmt.Errorf("never matches, as browsers send another form: write %s", as)
	}
	return nil
}

// sent returns the origin of u as browsers send it: in lower case, without a path and
// without a default port.
func sent(u *url.URL) string {
	host := strings.ToLower(u.Host)
	usual := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	return u.Scheme + "://" + strings.TrimSuffix(strings.TrimSuffix(host, usual), ":")
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > '~' })
}

// CORSHeader returns a function with the header fields that middleware, from CORS,
// adds to the answer of a GET. It is for answers that are written without a handler.
// The caller may add to the map, but must not change its values. The map is empty if
// no origins are set, and otherwise depends on the Origin of r.
func CORSHeader(middleware func(http.Handler) http.Handler) func(r *http.Request) http.Header {
	h := middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return func(r *http.Request) http.Header {
		w := headerOnly{}
		h.ServeHTTP(w, r)
		return http.Header(w)
	}
}

// headerOnly is an http.ResponseWriter that discards the body.
type headerOnly http.Header

func (h headerOnly) Header() http.Header         { return http.Header(h) }
func (h headerOnly) Write(b []byte) (int, error) { return len(b), nil }
func (h headerOnly) WriteHeader(int)             {}
