package redisbroker_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/pubsubtest"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

// store is a Redis with any topology.
type store struct {
	options   redisbroker.Options // to connect to it
	servers   []*redistest.Server // those with data, in the order to start them
	primaries []*redistest.Server
	settle    func()             // waits until the store works after a primary's restart
	cluster   *redistest.Cluster // nil for other topologies
}

// suite runs pubsubtest over stores that start makes. Most tests share one, each with its
// own prefix. Tests that break their store get their own.
func suite(t *testing.T, start func(t *testing.T) *store) {
	shared := start(t)
	var number atomic.Int64
	pubsubtest.Run(t, func(t *testing.T, o pubsubtest.Options) *pubsubtest.Cluster {
		s := shared
		if o.Alone {
			s = start(t)
		}
		options := s.options
		options.Prefix = fmt.Sprintf("comet:%d", number.Add(1))
		options.Size, options.TTL, options.KeyWindow = o.Size, o.TTL, time.Minute
		options.Retention, options.Index = o.Retention, o.Index
		options.Timeout = 5 * time.Second
		return s.suite(options.Prefix, func() pubsub.Broker { return newBroker(t, options) })
	})
}

// suite returns s with one prefix as the store of pubsubtest.
func (s *store) suite(prefix string, node func() pubsub.Broker) *pubsubtest.Cluster {
	wipe := func() {
		for _, p := range s.primaries {
			p.Do("FLUSHALL")
		}
	}
	log := func(channel string) string {
		if pubsub.IsIndexLog(channel) {
			return prefix + ":" + channel + ":index:log"
		}
		return prefix + ":{" + channel + "}:log"
	}
	c := &pubsubtest.Cluster{
		Node: node,
		Append: func(channel string) {
			s.primaryOf(log(channel)).Do("XADD", log(channel), "*", "foo", "bar")
		},
		Occupy: func(channel string) {
			s.primaryOf(log(channel)).Do("SET", log(channel), "something else")
		},
		FreezeAll: func() (thaw func()) {
			for _, server := range s.servers {
				server.Freeze()
			}
			return func() {
				for _, server := range s.servers {
					server.Thaw()
				}
			}
		},
		CutRelay: func() {
			for _, p := range s.primaries {
				p.KillPubSub()
			}
		},
		Wipe: wipe,
		Restart: func(empty bool) {
			if empty {
				wipe()
			}
			for _, p := range s.primaries {
				p.Restart()
			}
			s.settle()
		},
		Stop: func() {
			for _, server := range s.servers {
				server.Stop()
			}
		},
		Start: func() {
			for _, server := range s.servers {
				server.Restart()
			}
			s.settle()
		},
	}
	if s.cluster != nil {
		c.Freeze = func(channel string) (thaw func()) {
			server := s.primaryOf(log(channel))
			server.Freeze()
			return server.Thaw
		}
		c.Replace = func(channel string) { s.cluster.Replace(s.primaryOf(log(channel))) }
	}
	return c
}

// primaryOf returns the server that has key.
func (s *store) primaryOf(key string) *redistest.Server {
	if s.cluster != nil {
		return s.cluster.NodeFor(key)
	}
	return s.primaries[0]
}

func newBroker(t testing.TB, o redisbroker.Options) *redisbroker.Broker {
	t.Helper()
	b, err := redisbroker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// standalone starts one server. change adapts the options of the brokers.
func standalone(change func(*redisbroker.Options), options ...redistest.Option) func(*testing.T) *store {
	return func(t *testing.T) *store {
		server := redistest.Start(t, append(options, redistest.Persist)...)
		tls, _ := server.TLS()
		s := &store{
			options:   redisbroker.Options{Addresses: []string{server.Addr()}, TLS: tls},
			servers:   []*redistest.Server{server},
			primaries: []*redistest.Server{server},
			settle:    func() {},
		}
		change(&s.options)
		return s
	}
}

func TestBroker(t *testing.T) {
	t.Parallel()
	suite(t, standalone(func(*redisbroker.Options) {}))
}

func TestBrokerLinks(t *testing.T) {
	t.Parallel()
	suite(t, standalone(func(o *redisbroker.Options) { o.Links = 3 }))
}

// All messages are too large for the relay.
func TestBrokerInline(t *testing.T) {
	t.Parallel()
	suite(t, standalone(func(o *redisbroker.Options) { o.Inline = 1 }))
}

// The user has only the permissions that Check asks for.
func TestBrokerTLSUser(t *testing.T) {
	t.Parallel()
	suite(t, standalone(asUser, redistest.TLS(), user()))
}

// user returns the ACL of a user with the permissions that Comet needs.
func user() redistest.Option {
	rules := append([]string{"-@all"}, redisbroker.ACLRules()...)
	return redistest.User("comet", "secret", append(rules, "~comet:*", "&comet:*")...)
}

func asUser(o *redisbroker.Options) {
	o.Username, o.Password = "comet", func() (string, error) { return "secret", nil }
}

func TestBrokerSentinel(t *testing.T) {
	t.Parallel()
	suite(t, func(t *testing.T) *store {
		sentinel := redistest.StartSentinel(t, redistest.Persist)
		for _, watcher := range sentinel.Sentinels() {
			// A restart is not to become a failover too, even if it takes long.
			watcher.Do("SENTINEL", "SET", sentinel.Master(), "down-after-milliseconds", 60_000)
		}
		return &store{
			options:   redisbroker.Options{Addresses: sentinel.Addresses(), Master: sentinel.Master()},
			servers:   sentinel.Servers(),
			primaries: sentinel.Servers()[:1],
			// With a replica again the primary begins another epoch. A node knows that it
			// is of the same run only if it has seen the run before.
			settle: func() { sentinel.Primary().AwaitReplica(sentinel.Servers()[1]) },
		}
	})
}

func TestBrokerCluster(t *testing.T) {
	t.Parallel()
	suite(t, func(t *testing.T) *store {
		cluster := redistest.StartCluster(t, 3, 0, redistest.Persist, user())
		s := &store{
			options:   redisbroker.Options{Addresses: cluster.Addresses()},
			servers:   cluster.Nodes(),
			primaries: cluster.Nodes(),
			settle:    cluster.AwaitOK,
			cluster:   cluster,
		}
		asUser(&s.options)
		return s
	})
}
