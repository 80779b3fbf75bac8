package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof" // also adds itself to http.DefaultServeMux, which nothing here serves
	"strconv"
	"strings"
	"time"

	"comet/gateway/conn"
	"comet/gateway/trace"
)

// adminRoute is a row of the table of what operators may ask for.
type adminRoute struct {
	pattern string // as http.ServeMux has it
	handler http.Handler
	open    bool // asks for no token, which probes of an orchestrator cannot keep secret
}

// adminRoutes is every route but those of the dashboard. Of pprof there is no cmdline, which would show a
// password that was given as a flag.
func adminRoutes(n *node, terminate context.CancelCauseFunc, level *slog.LevelVar, logger *slog.Logger) []adminRoute {
	drain := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		terminate(ErrTerminated)
		w.WriteHeader(http.StatusAccepted)
	})
	return []adminRoute{
		{pattern: "GET /healthz", handler: http.HandlerFunc(healthz), open: true},
		{pattern: "GET /readyz", handler: http.HandlerFunc(n.readyz), open: true},
		{pattern: "GET /startupz", handler: http.HandlerFunc(n.readyz), open: true},
		{pattern: "POST /v1/drain", handler: drain},
		{pattern: "DELETE /v1/users/{user}/sessions", handler: n.revoke()},
		{pattern: "GET /v1/log", handler: showLevel(level)},
		{pattern: "PUT /v1/log", handler: setLevel(level, logger)},
		{pattern: "GET /metrics", handler: newMetrics(n, logger)},
		{pattern: "GET /debug/pprof/", handler: http.HandlerFunc(pprof.Index)},
		{pattern: "GET /debug/pprof/profile", handler: http.HandlerFunc(pprof.Profile)},
		{pattern: "GET /debug/pprof/trace", handler: http.HandlerFunc(pprof.Trace)},
	}
}

// healthz says that the process answers, whatever else is wrong.
func healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, "ok\n")
}

// revokeTimeout is for a revocation to be written.
const revokeTimeout = 5 * time.Second

// revoke disconnects a user on all nodes and rejects older tokens: 204, or 503 if the
// revocation could not be written.
func (n *node) revoke() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), revokeTimeout)
		defer cancel()
		if err := n.gateway.Revoke(ctx, r.PathValue("user")); err != nil {
			n.logger.ErrorContext(ctx, "revocation failed", "error", err)
			http.Error(w, "The revocation could not be written. Try again.", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// readiness is the answer of GET /readyz.
type readiness struct {
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons,omitempty"` // why not
}

// readiness reports whether the node should get new clients. It sends no request.
func (n *node) readiness() (r readiness) {
	if n.leaving.Load() != nil {
		r.Reasons = append(r.Reasons, "draining: the node is about to leave")
	}
	if b, ok := n.broker.(interface{ Ready() error }); ok {
		if err := b.Ready(); err != nil {
			r.Reasons = append(r.Reasons, err.Error())
		}
	}
	r.Ready = len(r.Reasons) == 0
	return r
}

// readyz says whether the node should get new clients: 200, or 503.
func (n *node) readyz(w http.ResponseWriter, _ *http.Request) {
	r := n.readiness()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !r.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(r)
}

// admin is the listener for operators. It is open before the node is made, so
// that a taken port ends the start, and until the node has left. The zero value
// is turned off.
type admin struct {
	listener net.Listener
	server   *http.Server  // nil before serve
	ended    chan struct{} // closed when server no longer accepts
}

// listenAdmin opens address; empty turns it off.
func listenAdmin(address string) (*admin, error) {
	if address == "" {
		return &admin{}, nil
	}
	l, err := listen("admin.listen", address)
	if err != nil {
		return nil, fmt.Errorf("%w: set --admin-listen to another address (each node on a machine needs its own), or to '' to do without", err)
	}
	return &admin{listener: l}, nil
}

// url is where it serves; empty if it is turned off.
func (a *admin) url() string {
	if a.listener == nil {
		return ""
	}
	return "http://" + a.listener.Addr().String()
}

// serve serves the routes in the background, until close.
func (a *admin) serve(routes []adminRoute, token string, logger *slog.Logger) {
	if a.listener == nil {
		return
	}
	mux := http.NewServeMux()
	open := make(map[string]bool)
	for _, r := range routes {
		mux.Handle(r.pattern, r.handler)
		open[r.pattern] = r.open
	}
	closed := withToken(token, logger, mux)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := trace.Of(r.Header)
		r = r.WithContext(trace.NewContext(r.Context(), &request))
		if _, pattern := mux.Handler(r); open[pattern] {
			mux.ServeHTTP(w, r)
			return
		}
		closed.ServeHTTP(w, r)
	})
	a.server = &http.Server{
		// A page that an operator looks at must not drain a node on loopback.
		Handler:           bounded(http.NewCrossOriginProtection().Handler(handler)),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    adminHeader,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	l := conn.ListenWith(a.listener, conn.ListenOptions{Limit: adminConnections(), Refusal: adminFull, Logger: logger})
	l.ConfigureServer(a.server)
	a.ended = make(chan struct{})
	go func() {
		defer close(a.ended)
		if err := a.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("admin listener failed; continuing without it", "error", err)
		}
	}()
}

const (
	adminHeader  = 16 << 10         // bytes of a request's header
	adminBody    = 64 << 10         // bytes of a request's body
	adminTimeout = 30 * time.Second // for a body to arrive, and for an answer to be read

	adminFull = "The admin listener has reached its connection limit. Close a connection or try again later."
)

// bounded limits what a client can take of the admin listener: bytes of a body,
// and time for it and for the answer. Profiles and event streams have more time: they
// set their own deadlines or name their duration in the query.
func bounded(h http.Handler) http.Handler {
	h = http.MaxBytesHandler(h, adminBody)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, now := http.NewResponseController(w), time.Now()
		if r.ContentLength != 0 { // net/http also waits for a body that no handler reads
			_ = c.SetReadDeadline(now.Add(adminTimeout))
		}
		_ = c.SetWriteDeadline(now.Add(adminTimeout + profileTime(r)))
		h.ServeHTTP(w, r)
	})
}

// profileTime is how long a profile takes, as package pprof reads it.
func profileTime(r *http.Request) time.Duration {
	if !strings.HasPrefix(r.URL.Path, "/debug/pprof/") {
		return 0
	}
	seconds, err := strconv.ParseFloat(r.URL.Query().Get("seconds"), 64)
	if err != nil || seconds <= 0 {
		seconds = 30
	}
	return time.Duration(min(seconds, 3600) * float64(time.Second))
}

// adminShutdown is for answers under way. A profile, which may take half a
// minute, is cut.
const adminShutdown = 500 * time.Millisecond

// close may come before serve.
func (a *admin) close() {
	switch {
	case a.listener == nil:
		return
	case a.server == nil:
		_ = a.listener.Close()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), adminShutdown)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close()
	}
	<-a.ended
}
