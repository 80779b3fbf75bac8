package main

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"comet/gateway"
	"comet/gateway/conn"
	"comet/gateway/nodes"
	"comet/gateway/web"
	"comet/pubsub"
)

// newHeart is what says to all nodes how n is; admin is where n serves
// operators, or empty.
func newHeart(n *node, admin string, logger *slog.Logger) *nodes.Heart {
	return nodes.New(nodes.Options{
		Broker: n.broker,
		Hub:    n.hub,
		About: nodes.About{
			ID:      fmt.Sprintf("%s.%08x", n.name, rand.Uint32()),
			Name:    n.name,
			Version: version + revision(),
			Started: time.Now().UTC().Truncate(time.Millisecond),
			URL:     n.url(),
			Admin:   admin,
		},
		Count:  n.counts,
		Logger: logger,
	})
}

// counts is what the parts of n count, for its report.
func (n *node) counts() nodes.Counts {
	ready := n.readiness()
	c := nodes.Counts{
		Ready:    ready.Ready,
		Reasons:  ready.Reasons,
		Draining: n.leaving.Load() != nil,
		Connections: nodes.Connections{
			Total:   n.listener.Stats().Open,
			Streams: held(n.gateway.Stats()),
		},
		Deliveries: delivered(n.parker.Stats()),
		Publishes:  n.hub.Stats().Publishes[pubsub.Published],
	}
	if b, ok := n.broker.(relay); ok {
		if delay, ok := b.RelayDelay(); ok {
			c.RelayDelay = &delay
		}
		if age, ok := b.RelayAge(); ok {
			c.ProbeAge = &age
		}
	}
	return c
}

// held is how many streams and polls there are.
func held(s gateway.Stats) (n int64) {
	for t := range conn.Transport(conn.Transports) {
		n += s.Held(t)
	}
	return n
}

// delivered is how many messages were written to subscribers.
func delivered(s conn.Stats) (n int64) {
	for _, messages := range s.Messages {
		n += messages
	}
	return n
}

// relay is what a broker knows whose nodes are apart.
type relay interface {
	RelayDelay() (delay time.Duration, ok bool)
	RelayAge() (age time.Duration, ok bool)
}

// viewRoutes is the dashboard at n, and what it shows: of the whole cluster.
func viewRoutes(n *node) []adminRoute {
	operators := n.gateway.Operators()
	routes := []adminRoute{
		{pattern: "GET /v1/nodes", handler: http.HandlerFunc(n.heart.ServeNodes)},
		{pattern: "GET /v1/channels", handler: http.HandlerFunc(n.heart.ServeChannels)},
		{pattern: "GET /v1/events", handler: operators},
		{pattern: "/v1/channels/", handler: operators},
	}
	for pattern, file := range web.Dashboard() {
		routes = append(routes, adminRoute{pattern: "GET " + pattern, handler: file, open: true})
	}
	return routes
}
