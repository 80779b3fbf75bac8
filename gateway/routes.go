package gateway

import (
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"comet/gateway/web"
)

// endpoint serves a request. It returns an error only before it has written
// anything; toProblem says what the client sees of it.
type endpoint func(*Gateway, http.ResponseWriter, *http.Request, *requestContext) error

// route is a row of the table.
type route struct {
	method   string
	path     string
	endpoint endpoint
	open     bool // to anyone: the endpoint does next to nothing
	admits   bool // the endpoint authenticates, by admit.Controller.Admit
	traced   bool // it publishes
}

// Paths that are on the fast path too.
const (
	eventsPath = "/v1/events"
	pollPath   = "/v1/poll"
)

// table is every route. A channel may hold slashes, so its pattern takes all.
var table = []route{
	{method: http.MethodPost, path: "/v1/channels/{channel:.*}/messages", endpoint: postMessage, traced: true},
	{method: http.MethodPost, path: "/v1/publish", endpoint: postBatch, traced: true},
	{method: http.MethodGet, path: eventsPath, endpoint: getEvents, admits: true},
	{method: http.MethodGet, path: pollPath, endpoint: getPoll, admits: true},
	{method: http.MethodGet, path: "/v1/channels/{channel:.*}/messages", endpoint: getHistory},
	{method: http.MethodGet, path: "/v1/channels/{channel:.*}/presence", endpoint: getPresence},
}

// newRouter makes the handler of all routes.
func newRouter(g *Gateway) *mux.Router {
	// A channel is percent-encoded, and may be `a//b` or `..`: match the path as it
	// was sent, and do not redirect.
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	allowed := make(map[string][]string) // methods by path
	for _, row := range table {
		router.Path(row.path).Methods(row.method).Handler(g.handle(row))
		allowed[row.path] = append(allowed[row.path], row.method)
	}
	for _, path := range web.Paths(g.options.Chat) {
		router.Path(path).Methods(http.MethodGet, http.MethodHead).Handler(g.page)
		allowed[path] = []string{http.MethodGet, http.MethodHead}
	}
	for path, methods := range allowed {
		router.Path(path).Handler(g.handle(route{endpoint: wrongMethod(methods), open: true}))
	}
	router.NotFoundHandler = g.handle(route{endpoint: notFound, open: true})
	return router
}

// handle makes a handler of an endpoint: errors become problems, and a panic ends
// this one request only.
func (g *Gateway) handle(row route) http.Handler {
	serve := g.serve
	if row.traced {
		serve = g.serveTraced
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p != http.ErrAbortHandler {
				g.options.Logger.ErrorContext(r.Context(), "panic in a handler", "panic", p, "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler) // the answer may be incomplete
		}()
		rc := contextOf(r)
		if err := serve(row, w, r, rc); err != nil {
			g.answerError(w, r, rc, err)
		}
	})
}

// serve authenticates, unless the row says otherwise, and calls the endpoint.
func (g *Gateway) serve(row route, w http.ResponseWriter, r *http.Request, rc *requestContext) error {
	if !row.open && !row.admits {
		if err := g.admission.Authenticate(r, &rc.Caller); err != nil {
			return err
		}
	}
	return row.endpoint(g, w, r, rc)
}

// wrongMethod makes the endpoint of a path that has other methods.
func wrongMethod(allowed []string) endpoint {
	slices.Sort(allowed)
	list := strings.Join(allowed, ", ")
	return func(_ *Gateway, w http.ResponseWriter, r *http.Request, _ *requestContext) error {
		w.Header().Set("Allow", list)
		return problem(methodNotAllowed, "%s is not allowed here: use %s.", r.Method, list)
	}
}

// notFound is the endpoint of every other path.
func notFound(_ *Gateway, _ http.ResponseWriter, r *http.Request, _ *requestContext) error {
	path := r.URL.EscapedPath()
	if channel, ok := strings.CutPrefix(path, "/v1/channels/"); ok && channel != "" && !strings.Contains(channel, "/") {
		return problem(pathNotFound, "There is nothing at %s: messages of the channel are at %s/messages. All paths are in /openapi.yaml of this node.", path, path)
	}
	return problem(pathNotFound, "There is nothing at %s: all paths begin with /v1/ and are in /openapi.yaml of this node.", path)
}
