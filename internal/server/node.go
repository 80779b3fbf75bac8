package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"comet/config"
	"comet/gateway"
	"comet/gateway/admit"
	"comet/gateway/bayeux"
	"comet/gateway/conn"
	"comet/pubsub"
	"comet/pubsub/cluster"
)

const (
	headerTimeout = 10 * time.Second // for a request's header to arrive
	idleTimeout   = 2 * time.Minute  // of a kept-alive connection between requests

	// The process ends at most 5 s after drain.delay and drain.spread: leaveTimeout is
	// for clients that do not read, then closeTimeout for what waits for Redis, then
	// adminShutdown. The rest is for a busy machine.
	leaveTimeout = 2 * time.Second
	closeTimeout = 2 * time.Second
)

// node is everything of one node, from broker to listener.
type node struct {
	build     build
	name      string
	broker    pubsub.Broker
	hub       *pubsub.Hub
	presence  *pubsub.Presence
	rules     *channelRules
	parker    *conn.Parker
	gateway   *gateway.Gateway
	bayeux    *bayeux.Server // nil: disabled
	heart     *cluster.Heartbeat
	listener  *conn.Listener
	server    *http.Server
	encrypted bool // server.TLSConfig does not tell: net/http sets one anyway
	drain     atomic.Pointer[config.Drain]
	access    *access
	hooks     hooks
	tracing   *tracing                  // nil: no spans are wanted
	leaving   atomic.Pointer[time.Time] // since when; nil: it does not
	logger    *slog.Logger
}

// newNode makes a node that serves on l, at most limit connections, once run.
// admin is where it serves operators, or empty. It takes over b and l; rules may
// be shared.
func newNode(name string, about build, s *config.Settings, rules *channelRules, who *access, b pubsub.Broker, l net.Listener, limit int, admin string, logger *slog.Logger) (*node, error) {
	logger = logger.With("node", name)
	encryption, err := newTLS(s.HTTP.TLS.Cert, s.HTTP.TLS.Key, logger)
	if err != nil {
		return nil, err
	}
	parker, err := conn.NewParker(s.HTTP.Heartbeat)
	if err != nil {
		return nil, err
	}
	application, err := newHooks(s, name, logger)
	if err != nil {
		return nil, errors.Join(err, parker.Close(context.Background()))
	}
	spans, err := newTracing(&s.Tracing, name, about.version, logger)
	if err != nil {
		return nil, errors.Join(err, parker.Close(context.Background()), application.close(context.Background()))
	}
	options := pubsub.Options{Timeout: s.Redis.Timeout, Index: rules.index, Logger: logger}
	if application.events != nil {
		options.OnOpened, options.OnClosed = admit.Opened(application.events), admit.Closed(application.events)
	}
	presence := pubsub.NewPresence(b, pubsub.PresenceOptions{
		Enabled: rules.presence, TTL: s.Presence.TTL, MemberLimit: s.Presence.Members, Timeout: s.Redis.Timeout, Logger: logger,
	})
	options.OnOpened, options.OnClosed = both(options.OnOpened, presence.ChannelOpened), both(options.OnClosed, presence.ChannelClosed)
	var tracer gateway.Tracer
	if spans != nil {
		tracer, options.OnRelayed, parker.Written = spans, spans.relay, spans.write
	}
	hub := pubsub.NewHub(b, options)
	g, err := gateway.New(gateway.Options{
		Hub: hub, Presence: presence, Senders: rules.senders, Replays: conn.NewReplays(int64(s.Limits.ReplayMemory)), Node: name, Chat: s.HTTP.Chat, Compress: s.HTTP.Compress == "on", Heartbeat: s.HTTP.Heartbeat, Holder: parker, Logger: logger,
		Policy: who.policy, Revocations: who.revocations, RevocationStore: who.kept, Asker: application.asker, Events: application.events, Tracer: tracer,
	})
	if err != nil {
		presence.Close()
		hub.Close()
		spans.close(context.Background())
		return nil, errors.Join(err, parker.Close(context.Background()), application.close(context.Background()))
	}
	protocol, err := newBayeux(s, rules, tracer, g, hub, b, parker, logger)
	if err != nil {
		presence.Close()
		hub.Close()
		spans.close(context.Background())
		return nil, errors.Join(err, parker.Close(context.Background()), application.close(context.Background()))
	}
	listener := conn.ListenWith(l, conn.ListenOptions{Limit: limit, Addresses: g.AddressLimit, Logger: logger})
	if encryption == nil {
		parker.EnableFastPath(listener, g.FastPath())
	}
	n := &node{
		build:  about,
		logger: logger, access: who, hooks: application, tracing: spans, encrypted: encryption != nil,
		name: name, broker: b, hub: hub, presence: presence, rules: rules, parker: parker, gateway: g, bayeux: protocol,
		listener: listener,
		server: &http.Server{
			Handler:           g,
			ReadHeaderTimeout: headerTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    int(s.Limits.Header),
			TLSConfig:         encryption,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
	}
	listener.ConfigureServer(n.server)
	n.drain.Store(&s.Drain)
	n.heart = newHeart(n, admin, logger)
	return n, nil
}

// reload has the node go by s, as far as a node that runs can. An error names
// the setting that is wrong; then nothing has changed. It is called one at a
// time.
func (n *node) reload(s *config.Settings, newTokens bool) error {
	ruling, err := newRuling(s)
	if err != nil {
		return err
	}
	policy, use, err := n.access.change(s, newTokens)
	if err != nil {
		return err
	}
	if err := n.gateway.SetPolicy(policy); err != nil {
		return err
	}
	use()
	n.setRules(ruling)
	n.drain.Store(&s.Drain)
	return nil
}

// both returns a func that calls first and second; first may be nil.
func both(first, second func(channel string)) func(channel string) {
	if first == nil {
		return second
	}
	return func(channel string) {
		first(channel)
		second(channel)
	}
}

// url is where the node serves.
func (n *node) url() string {
	scheme := "http://"
	if n.encrypted {
		scheme = "https://"
	}
	return scheme + n.listener.Addr().String()
}

// run serves until ctx ends or a listener fails, drains, and closes the node. It
// takes the time of the drain settings only if ErrTerminated ends ctx; else the
// node leaves at once. It returns at most leaveTimeout and closeTimeout later,
// whatever Redis does; what could not be closed then ends with the process.
func (n *node) run(ctx context.Context) error {
	life, die := context.WithCancel(context.WithoutCancel(ctx))
	defer die()
	var chores sync.WaitGroup
	chores.Go(func() { n.access.run(life) })
	chores.Go(func() { n.gateway.FollowRevocations(life) })
	chores.Go(func() { n.heart.Run(life) })
	served := make(chan error, 2)
	var serving sync.WaitGroup
	serving.Go(func() { served <- n.accept() })
	serving.Go(func() { served <- n.server.Serve(n.listener.Returned()) })
	var failed error
	var drain config.Drain
	select {
	case err := <-served:
		failed = fmt.Errorf("serve %s: %w", n.url(), err)
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), ErrTerminated) {
			drain = *n.drain.Load()
		}
	}
	err := n.leave(context.WithoutCancel(ctx), drain)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	closed := make(chan error, 1)
	go func() { // until the process ends, if something does not
		serving.Wait()
		die()
		chores.Wait()
		closed <- n.close(closing)
	}()
	select {
	case e := <-closed:
		err = errors.Join(err, e)
	case <-closing.Done():
		n.logger.Warn("node did not close in time; exiting anyway", "timeout", closeTimeout)
	}
	return errors.Join(failed, err)
}

// close closes the parts of the node that nothing uses any more.
func (n *node) close(ctx context.Context) error {
	err := n.parker.Close(ctx)
	if n.bayeux != nil {
		n.bayeux.Close()
	}
	n.presence.Close()
	n.hub.Close()
	err = errors.Join(err, n.hooks.close(ctx))
	n.tracing.close(ctx)
	return errors.Join(err, n.broker.Close())
}

// accept serves those who come.
func (n *node) accept() error {
	if n.encrypted {
		return n.server.ServeTLS(n.listener, "", "") // TLSConfig has the certificate
	}
	return n.server.Serve(n.listener)
}

// leave drains the node: it becomes unready for drain.Delay, then stops accepting,
// closes streams and polls evenly over drain.Spread, and waits for their ends.
func (n *node) leave(ctx context.Context, drain config.Drain) error {
	n.leaving.Store(new(time.Now()))
	n.logger.Info("drain started", "connections", n.listener.Open(), "delay", drain.Delay, "spread", drain.Spread)
	time.Sleep(drain.Delay) // a second signal ends the process
	ctx, cancel := context.WithTimeout(ctx, drain.Spread+leaveTimeout)
	defer cancel()
	n.gateway.Drain(drain.Spread)
	err := n.server.Shutdown(ctx)
	remaining := n.parker.WaitDrained(ctx)
	if err != nil {
		err = fmt.Errorf("%s: connections not drained in time: %w", n.name, errors.Join(err, n.server.Close()))
	}
	n.logger.Info("drain finished", "remaining", remaining)
	return err
}

// listen opens address, the value of the given setting.
func listen(setting, address string) (net.Listener, error) {
	l, err := listenConfig.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return l, nil
}
