package redisbroker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

// party is two nodes with presence, and the joins and leaves of channel c that a
// subscriber received.
type party struct {
	t     *testing.T
	nodes [2]*pubsub.Presence
	done  sync.WaitGroup

	mu     sync.Mutex
	events []string // "+alice", "-alice"
}

const partyTTL = 8 * time.Second // leases are 3/5 of it

func newParty(t *testing.T, o redisbroker.Options) *party {
	t.Helper()
	o.Size, o.TTL, o.KeyWindow, o.Timeout = 100, time.Hour, time.Minute, time.Second
	p := &party{t: t}
	ctx, stop := context.WithCancel(context.Background())
	for i := range p.nodes {
		b := newBroker(t, o)
		p.nodes[i] = pubsub.NewPresence(b, pubsub.PresenceOptions{
			Enabled: func(string) bool { return true }, TTL: partyTTL, Grace: 200 * time.Millisecond, Timeout: time.Second,
		})
		hub := pubsub.NewHub(b, pubsub.Options{OnOpened: p.nodes[i].ChannelOpened, OnClosed: p.nodes[i].ChannelClosed})
		t.Cleanup(func() {
			p.nodes[i].Close()
			hub.Close()
			b.Close()
		})
		s, err := hub.Subscribe(ctx, []pubsub.Start{{Channel: "c"}})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			p.done.Go(func() { p.listen(ctx, s) })
		}
		t.Cleanup(s.Close)
	}
	t.Cleanup(func() {
		stop()
		p.done.Wait()
	})
	return p
}

func (p *party) listen(ctx context.Context, s *pubsub.Subscriber) {
	for {
		items, err := s.Next(ctx, 100)
		if err != nil {
			return
		}
		p.mu.Lock()
		for _, it := range items {
			if it.Message == nil || !it.Message.Ephemeral() {
				continue
			}
			var m pubsub.Member
			if err := json.Unmarshal(it.Message.Data, &m); err != nil {
				p.t.Errorf("%s: %v", it.Message.Data, err)
			}
			p.events = append(p.events, map[string]string{pubsub.JoinType: "+", pubsub.LeaveType: "-"}[it.Message.Type]+m.User)
		}
		p.mu.Unlock()
	}
}

func (p *party) heard() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.events, " ")
}

func (p *party) enter(node int, user string) pubsub.Membership {
	s, _ := p.nodes[node].Join("c", user, nil)
	return s
}

// await waits until every node lists these members.
func (p *party) await(users ...string) {
	p.t.Helper()
	await(p.t, fmt.Sprintf("%q are there", users), func() bool {
		for _, node := range p.nodes {
			page, err := node.Members(p.t.Context(), "c", "", pubsub.MaxMembers)
			if err != nil || page.Count != len(users) || !slices.EqualFunc(page.Members, users, func(m pubsub.Member, user string) bool { return m.User == user }) {
				return false
			}
		}
		return true
	})
}

func (p *party) awaitReceived(want string) {
	p.t.Helper()
	await(p.t, want, func() bool { return len(p.heard()) >= len(want) })
	if got := p.heard(); got != want {
		p.t.Fatalf("got %q, want %q", got, want)
	}
}

func (p *party) pass(d time.Duration) {
	select {
	case <-time.After(d):
	case <-p.t.Context().Done():
	}
}

// After each failure of Redis the members are back, and no join or leave is reported
// twice.
func TestPresenceThrough(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(t *testing.T) (o redisbroker.Options, trouble func(p *party)){
		"frozen for longer than a lease": func(t *testing.T) (redisbroker.Options, func(*party)) {
			server := redistest.Start(t)
			return at(server.Addr()), func(p *party) {
				server.Freeze()
				p.pass(partyTTL * 4 / 5)
				server.Thaw()
			}
		},
		"each of its keys evicted": func(t *testing.T) (redisbroker.Options, func(*party)) {
			server := redistest.Start(t)
			return at(server.Addr()), func(p *party) {
				for _, name := range []string{"holders", "members", "order", "held"} {
					server.Do("DEL", "comet:{c}:presence:"+name)
					p.pass(partyTTL / 3) // so that the nodes see it
					p.await("alice", "bob")
				}
			}
		},
		"clock forth": func(t *testing.T) (redisbroker.Options, func(*party)) {
			server := redistest.Start(t, redistest.Clock(0))
			return at(server.Addr()), func(*party) { server.SetClock(time.Hour) }
		},
		"clock back": func(t *testing.T) (redisbroker.Options, func(*party)) {
			server := redistest.Start(t, redistest.Clock(0))
			return at(server.Addr()), func(*party) { server.SetClock(-time.Hour) }
		},
		"failover by Sentinels": func(t *testing.T) (redisbroker.Options, func(*party)) {
			sentinel := redistest.StartSentinel(t)
			return watch(sentinel), func(*party) {
				sentinel.Servers()[0].AwaitReplica(sentinel.Servers()[1])
				sentinel.Failover()
			}
		},
		"slot of a cluster moved": func(t *testing.T) (redisbroker.Options, func(*party)) {
			cluster := redistest.StartCluster(t, 3, 0)
			return reach(cluster), func(p *party) {
				from := cluster.NodeFor("{c}")
				to := cluster.Nodes()[(slices.Index(cluster.Nodes(), from)+1)%3]
				end := cluster.BeginMove(redisbroker.SlotOf("c"), to)
				p.pass(partyTTL / 4)
				end()
			}
		},
		"failover of a cluster": func(t *testing.T) (redisbroker.Options, func(*party)) {
			cluster := redistest.StartCluster(t, 3, 1)
			return reach(cluster), func(*party) {
				node := cluster.NodeFor("{c}")
				node.AwaitReplica(replicaOf(t, cluster, node))
				cluster.Failover(node)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, trouble := begin(t)
			p := newParty(t, o)
			alice := p.enter(0, "alice")
			p.await("alice")
			p.enter(1, "bob")
			p.awaitReceived("+alice +bob")
			p.pass(partyTTL / 2) // the nodes may now expire each other's leases
			trouble(p)
			p.await("alice", "bob")
			p.pass(partyTTL)
			p.await("alice", "bob")
			p.nodes[0].Leave(alice)
			p.await("bob")
			p.awaitReceived("+alice +bob -alice")
		})
	}
}

// A join that a failover loses comes back. It is reported again, unless the failover
// took longer than a lease: then all of the presence has expired.
func TestPresenceFailoverLosing(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t)
	old, replica := sentinel.Servers()[0], sentinel.Servers()[1]
	p := newParty(t, watch(sentinel))
	p.enter(0, "alice")
	p.awaitReceived("+alice")
	old.KillLosing(func() {
		p.enter(0, "bob")
		p.awaitReceived("+alice +bob")
	}, replica)
	sentinel.AwaitPrimaryOther(old)
	p.await("alice", "bob")
	p.pass(partyTTL)
	if got := p.heard(); got != "+alice +bob" && got != "+alice +bob +bob" {
		t.Errorf("got %q", got)
	}
}

// The cost of an idle channel in Redis does not depend on its number of members.
func TestPresenceCost(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := newParty(t, at(server.Addr()))
	for i := range 5000 {
		p.enter(i%2, fmt.Sprint("user-", i))
	}
	calls := func() (n int) {
		text, _ := server.Do("INFO", "commandstats").(string)
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(line, "cmdstat_evalsha:calls="); ok {
				_, _ = fmt.Sscanf(rest, "%d", &n)
			}
		}
		return n
	}
	await(t, "all are there", func() bool {
		page, err := p.nodes[0].Members(t.Context(), "c", "", 1)
		return err == nil && page.Count == 5000
	})
	before := calls()
	p.pass(2 * partyTTL)
	// Ten intervals, two nodes, and the probes of their relay connections.
	if n := calls() - before; n < 10 || n > 50 {
		t.Errorf("%d calls", n)
	}
}

// FuzzDecodeMembers checks that members survive a round trip, and that other input is an
// error.
func FuzzDecodeMembers(f *testing.F) {
	f.Add("alice", "1 1767323045678 {\"user\":\"alice\",\"info\":{\"a\":1}}")
	f.Add("alice", "1 1767323045678 {\"user\":\"bob\"}")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, user, value string) {
		page, err := redisbroker.DecodeMembers([]any{int64(1), int64(0), []any{user, value}})
		if err == nil && (len(page.Members) != 1 || page.Members[0].User != user || page.Count != 1 || page.More) {
			t.Errorf("%q %q: %+v", user, value, page)
		}
	})
}
