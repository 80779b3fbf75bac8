package gateway

import (
	"net/http"

	"github.com/gorilla/mux"

	"comet/gateway/admit"
	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/gateway/limit"
	"comet/pubsub"
)

// Operators serves the routes of clients to operators, who may do everything, may
// read the nodes' own channels, and are excluded from limits and metrics. It does
// not authenticate: mount it on the admin listener only. Streams of operators
// survive Drain; they end when the hub is closed.
func (g *Gateway) Operators() http.Handler {
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	for _, row := range table {
		row.open = true // operators are not authenticated
		switch row.path {
		case eventsPath:
			row.endpoint = watchEvents
		case pollPath:
			continue // a poll would be counted
		}
		router.Path(row.path).Methods(row.method).Handler(g.handle(row))
	}
	router.NotFoundHandler = g.handle(route{endpoint: notFound, open: true})
	router.MethodNotAllowedHandler = router.NotFoundHandler
	operator := &auth.Principal{Permissions: everything()}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := requestContext{Caller: admit.Caller{Principal: operator, Client: limit.Client{Trusted: true}, Operator: true}}
		r = g.receive(&rc, w, r)
		router.ServeHTTP(w, r)
	})
}

// watchEvents is getEvents for operators: their streams are not admitted, limited
// or counted.
func watchEvents(g *Gateway, w http.ResponseWriter, r *http.Request, rc *requestContext) error {
	s, err := parseEvents(r, rc)
	if err != nil {
		return err
	}
	subscriber, err := g.options.Hub.SubscribeUncounted(r.Context(), s.Starts)
	if err != nil {
		return err
	}
	cursors := pubsub.NewCursorSetOf(s.Starts, subscriber.StartCursors())
	cursors.PerChannel = s.PerChannel
	conn.Portable{Heartbeat: g.options.Heartbeat}.Hold(w, r, &conn.Stream{
		Subscriber: subscriber,
		Cursors:    cursors,
		Several:    len(s.Starts) > 1 || s.Starts[0].Filter != nil,
		Format:     s.format,
		Node:       g.options.Node,
		Ended:      func(conn.CloseReason) {},
	})
	return nil
}
