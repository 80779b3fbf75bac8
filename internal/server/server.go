// Package server runs one node: its listeners, broker, hub and gateway, from the
// settings to the drain. Tests run nodes in their own process with it.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"

	"comet/config"
	"comet/pubsub"
	"comet/pubsub/membroker"
)

// ErrTerminated as the cause of the end of Run's context makes a node take the
// time of the drain settings to leave, because its clients have other nodes to go
// to. After any other cause it leaves at once.
var ErrTerminated = errors.New("terminated")

// Options are what a node needs besides its settings.
type Options struct {
	Version  string // of Comet, as in v1.2.3
	Revision string // of the source, appended to Version; empty: not known
	Logger   *slog.Logger
	Level    *slog.LevelVar // of Logger; operators and changed settings set it

	// Load reads the settings again. The node calls it in Reload, and when a file
	// changes that it has settings from. File is the path of the settings file
	// itself; empty: there is none. Without Load the settings stay.
	Load func() (*config.Loaded, error)
	File string

	// New takes these over, and closes them if it fails. If they are nil, New
	// makes them as the settings say.
	Listener net.Listener
	Admin    net.Listener
	Broker   pubsub.Broker

	DashboardOnly bool // Admin serves only the dashboard and what it shows
	Nodes         int  // that share the descriptors of this process; 0: one
}

// Node is one node: it serves clients and operators, and takes changes of its
// settings.
type Node struct {
	node     *node
	settings *config.Loaded // at the start
	options  Options
	admin    *admin
	reloader *reloader // nil: the settings stay
}

// openWarning is logged while the settings restrict no client.
const openWarning = "authentication is off: every client on this machine may publish and subscribe; set auth to restrict them"

// NewMemory returns what keeps the messages of several nodes of one process that
// have no Redis. Give each of them a Node of it as Options.Broker.
func NewMemory(s *config.Settings) (*membroker.Cluster, error) {
	rules, err := newChannelRules(s)
	if err != nil {
		return nil, err
	}
	return newMemory(rules), nil
}

// New opens the listeners of a node and connects to Redis. The node serves once
// Run is called. A Redis that cannot be reached is no error: it may come later.
func New(ctx context.Context, s *config.Loaded, o Options) (*Node, error) {
	l, err := o.Listener, error(nil)
	if l == nil {
		if l, err = listen("http.listen", s.HTTP.Listen); err != nil {
			err = fmt.Errorf("%w: set --http-listen to another address, as in 127.0.0.1:9000", err)
		}
	}
	operators := &admin{listener: o.Admin}
	if err == nil && o.Admin == nil {
		operators, err = listenAdmin(s.Admin.Listen)
	}
	var n *Node
	if err == nil {
		n, err = newNodeAt(ctx, s, o, l, operators)
	}
	if err == nil {
		return n, nil
	}
	if l != nil {
		err = errors.Join(err, l.Close())
	}
	if operators != nil {
		operators.close()
	}
	if o.Broker != nil {
		err = errors.Join(err, o.Broker.Close())
	}
	return nil, err
}

func newNodeAt(ctx context.Context, s *config.Loaded, o Options, l net.Listener, operators *admin) (*Node, error) {
	rules, err := newChannelRules(&s.Settings)
	if err != nil {
		return nil, err
	}
	who, err := newAccess(&s.Settings, l.Addr(), o.Logger.With("node", s.Node)) // before Redis is looked for
	if err != nil {
		return nil, err
	}
	broker := o.Broker
	if broker == nil {
		if broker, err = newBroker(ctx, &s.Settings, rules, o.Logger); err != nil {
			return nil, err
		}
	}
	if s.Open() {
		o.Logger.Warn(openWarning)
	}
	warnExposed(s, nil, o.Logger)
	warnOfDescriptors(&s.Settings, o.Logger)
	about := build{o.Version, o.Revision}
	n, err := newNode(s.Node, about, &s.Settings, rules, who, broker, l, connectionLimit(max(o.Nodes, 1)), operators.url(), o.Logger)
	if err != nil {
		if o.Broker == nil {
			err = errors.Join(err, broker.Close())
		}
		return nil, err
	}
	all := &Node{node: n, settings: s, options: o, admin: operators}
	if o.Load != nil {
		all.reloader = newReloader(o.Load, o.File, s, n, o.Level)
	}
	return all, nil
}

// Name is the name of the node, as the settings have it.
func (n *Node) Name() string { return n.node.name }

// URL is where the node serves clients.
func (n *Node) URL() string { return n.node.url() }

// AdminURL is where the node serves operators; empty: nowhere.
func (n *Node) AdminURL() string { return n.admin.url() }

// Reload has Run read the settings again, and returns at once. The log says what
// came of it, with the reason.
func (n *Node) Reload(reason string) {
	if n.reloader != nil {
		n.reloader.ask(reason)
	}
}

// Run serves until ctx ends or a listener fails, and closes the node. How long it
// takes to leave depends on ErrTerminated. It must be called once.
func (n *Node) Run(ctx context.Context) error {
	defer n.admin.close() // after the node has left
	ctx, terminate := context.WithCancelCause(ctx)
	defer terminate(nil)
	life, die := context.WithCancel(context.WithoutCancel(ctx)) // a node that leaves listens on
	var chores sync.WaitGroup
	defer chores.Wait()
	defer die()
	if n.reloader != nil {
		chores.Go(func() { n.reloader.run(life) })
	}
	routes := viewRoutes(n.node)
	if !n.options.DashboardOnly {
		routes = append(routes, adminRoutes(n.node, terminate, n.options.Level, n.options.Logger)...)
	}
	n.admin.serve(routes, n.settings.Admin.Token.Reveal(), n.options.Logger)
	n.options.Logger.Info("serving", "node", n.Name(), "url", n.URL(), "admin", n.AdminURL(), "redis", n.settings.Redis.Addresses)
	if err := n.node.run(ctx); err != nil {
		return err
	}
	n.options.Logger.Info("node stopped", "node", n.Name())
	return nil
}

// build says which Comet this is.
type build struct{ version, revision string }

func (b build) String() string { return b.version + b.revision }

// warnExposed warns of files with secrets that every user of the machine can
// read, but of those in known.
func warnExposed(s *config.Loaded, known []config.Exposure, logger *slog.Logger) {
	for _, e := range s.Exposures() {
		if !slices.Contains(known, e) {
			logger.Warn("secret file is readable by every user; chmod it to 600 or 640", "setting", e.Key, "file", e.Path)
		}
	}
}
