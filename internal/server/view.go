package server

import (
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"comet/gateway"
	"comet/gateway/conn"
	"comet/gateway/web"
	"comet/pubsub/cluster"
)

// newHeart is what says to all nodes how n is; admin is where n serves
// operators, or empty.
func newHeart(n *node, admin string, logger *slog.Logger) *cluster.Heartbeat {
	return cluster.New(cluster.Options{
		Broker: n.broker,
		Hub:    n.hub,
		About: cluster.Identity{
			ID:      fmt.Sprintf("%s.%08x", n.name, rand.Uint32()),
			Name:    n.name,
			Version: n.build.String(),
			Started: time.Now().UTC().Truncate(time.Millisecond),
			URL:     n.url(),
			Admin:   admin,
		},
		Count:  n.counts,
		Logger: logger,
	})
}

// counts is what the parts of n count, for its report.
func (n *node) counts() cluster.Counts {
	ready, written, by := n.readiness(), n.parker.Stats(), heldBy(n.gateway.Stats())
	bytes := sum(written.Bytes[:])
	c := cluster.Counts{
		Ready:    ready.Ready,
		Reasons:  ready.Reasons,
		Draining: n.leaving.Load() != nil,
		Connections: cluster.Connections{
			Total:   n.listener.Stats().Open,
			Streams: sum(slices.Collect(maps.Values(by))),
			By:      by,
		},
		Deliveries: sum(written.Messages[:]),
		Publishes:  n.hub.Published(),
		Bytes:      &bytes,
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

// heldBy is how many streams and polls there are, by transport.
func heldBy(s gateway.Stats) map[string]int64 {
	by := make(map[string]int64)
	for t := range conn.Transport(conn.Transports) {
		by[t.String()] = s.Held(t)
	}
	return by
}

func sum(counts []int64) (n int64) {
	for _, count := range counts {
		n += count
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
