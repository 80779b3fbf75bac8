package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"comet/config"
	"comet/gateway"
	"comet/gateway/conn"
	"comet/pubsub"
)

const (
	headerTimeout   = 10 * time.Second // for a request's header to arrive
	idleTimeout     = 2 * time.Minute  // of a kept-alive connection between requests
	shutdownTimeout = 10 * time.Second // for streams and polls to end
)

// node is everything of one node, from broker to listener.
type node struct {
	name     string
	broker   pubsub.Broker
	hub      *pubsub.Hub
	parker   *conn.Parker
	gateway  *gateway.Gateway
	listener *conn.Listener
	server   *http.Server
}

// connectionLimit is how many connections one of so many nodes in this process
// may have. The twentieth that is left is for Redis, files, and descriptors
// that are two for a moment while a connection is parked.
func connectionLimit(nodes int) int { return conn.DescriptorLimit() / 20 * 19 / nodes }

// newNode makes a node that serves on l, at most limit connections, once run.
// It takes over b and l.
func newNode(name string, s *config.Settings, b pubsub.Broker, l net.Listener, limit int, logger *slog.Logger) (*node, error) {
	parker, err := conn.NewParker(s.HTTP.Heartbeat)
	if err != nil {
		return nil, err
	}
	logger = logger.With("node", name)
	hub := pubsub.NewHub(b, pubsub.Options{Timeout: s.Redis.Timeout, Replicated: s.Redis.MinReplicas > 0, Logger: logger})
	g := gateway.New(gateway.Options{
		Hub:       hub,
		Node:      name,
		Heartbeat: s.HTTP.Heartbeat,
		Limits: gateway.Limits{
			Message:     int(s.Limits.Message),
			Batch:       s.Limits.Batch,
			Channels:    s.Limits.Channels,
			Wait:        s.Limits.Wait,
			Connections: s.Limits.Connections,
		},
		Access: gateway.Access{
			Restricted: !s.Open(),
			Subscribe:  s.Auth.Anonymous.Subscribe,
			Publish:    s.Auth.Anonymous.Publish,
		},
		Holder: parker,
		Logger: logger,
	})
	listener := conn.Listen(l, limit, logger)
	parker.Guard(listener, g.Door())
	return &node{
		name: name, broker: b, hub: hub, parker: parker, gateway: g,
		listener: listener,
		server: &http.Server{
			Handler:           g,
			ReadHeaderTimeout: headerTimeout,
			IdleTimeout:       idleTimeout,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
	}, nil
}

// url is where the node serves.
func (n *node) url() string { return "http://" + n.listener.Addr().String() }

// run serves until ctx ends, says goodbye to all clients, and closes the node.
func (n *node) run(ctx context.Context) error {
	served := make(chan error, 2)
	for _, l := range []net.Listener{n.listener, n.listener.Back()} {
		go func() { served <- n.server.Serve(l) }()
	}
	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serve %s: %w", n.url(), errors.Join(err, n.server.Close()))
	case <-ctx.Done():
		err = n.leave(context.WithoutCancel(ctx))
		<-served
	}
	<-served
	err = errors.Join(err, n.parker.Close())
	n.hub.Close()
	return errors.Join(err, n.broker.Close())
}

func (n *node) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	n.gateway.Leave()
	if err := n.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("%s: clients did not leave in time: %w", n.name, errors.Join(err, n.server.Close()))
	}
	return nil
}

// listen opens address, the value of the given setting.
func listen(setting, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return l, nil
}
