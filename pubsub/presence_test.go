package pubsub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"comet/pubsub"
	"comet/pubsub/membroker"
)

// presenceEvents records joins and leaves, as "+alice" and "-alice".
type presenceEvents struct {
	mu  sync.Mutex
	all []string
}

func (t *presenceEvents) Subscribed(string)                 {}
func (t *presenceEvents) Disconnected(time.Time, ...string) {}

func (t *presenceEvents) Received(_ string, m *pubsub.Message) {
	var member pubsub.Member
	if err := json.Unmarshal(m.Data, &member); err != nil {
		panic(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, map[string]string{pubsub.JoinType: "+", pubsub.LeaveType: "-"}[m.Type]+member.User)
}

// takeAll returns and removes the events.
func (t *presenceEvents) takeAll() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := strings.Join(t.all, " ")
	t.all = nil
	return all
}

// stage is nodes in a synctest bubble, over one cluster in memory.
type stage struct {
	t       *testing.T
	cluster *membroker.Cluster
	events  presenceEvents
	log     strings.Builder // read it when all nodes rest
	logger  *slog.Logger    // to log
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, cluster: membroker.New(membroker.Options{Size: 10, TTL: time.Hour, KeyWindow: time.Minute})}
	s.logger = slog.New(slog.NewTextHandler(&s.log, nil))
	listener := s.cluster.Node()
	listener.Subscribe("c")
	var relay sync.WaitGroup
	relay.Go(func() { _ = listener.Relay(t.Context(), &s.events) })
	t.Cleanup(func() {
		_ = listener.Close()
		relay.Wait()
	})
	synctest.Wait() // until it listens
	return s
}

// node is a presence over a broker that wrap may make worse. The test closes it.
func (s *stage) node(wrap func(pubsub.Broker) pubsub.Broker) *pubsub.Presence {
	p := pubsub.NewPresence(wrap(s.cluster.Node()), pubsub.PresenceOptions{
		Enabled: func(string) bool { return true }, Logger: s.logger,
	})
	p.ChannelOpened("c")
	return p
}

func plain(b pubsub.Broker) pubsub.Broker { return b }

func (s *stage) join(p *pubsub.Presence, user string) pubsub.Membership {
	membership, ok := p.Join("c", user, nil)
	if !ok {
		s.t.Fatal("no presence")
	}
	return membership
}

// want waits for some time and compares the events in it.
func (s *stage) want(after time.Duration, want string) {
	s.t.Helper()
	time.Sleep(after) // of the bubble
	synctest.Wait()
	if got := s.events.takeAll(); got != want {
		s.t.Errorf("got %q, want %q", got, want)
	}
}

func (s *stage) members(p *pubsub.Presence) (users []string) {
	s.t.Helper()
	page, err := p.Members(s.t.Context(), "c", "", pubsub.MaxMembers)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, m := range page.Members {
		users = append(users, m.User)
	}
	return users
}

// A join is published at once, a leave after the grace, and a shorter absence never.
func TestPresenceGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		p := s.node(plain)
		defer p.Close()
		membership := s.join(p, "alice")
		s.want(0, "+alice")
		for range 10 {
			p.Leave(membership)
			s.want(4*time.Second, "")
			membership = s.join(p, "alice")
		}
		tab := s.join(p, "alice")
		p.Leave(membership)
		s.want(time.Minute, "")
		p.Leave(tab)
		s.want(4900*time.Millisecond, "")
		s.want(200*time.Millisecond, "-alice")
		s.join(p, "alice")
		s.want(0, "+alice")
	})
}

// cut is a broker that can be out of reach for the presence.
type cut struct {
	pubsub.Broker
	mu    sync.Mutex
	off   bool
	calls []int // how many leases each had
}

func (b *cut) UpdateLeases(ctx context.Context, leases []pubsub.Lease) []pubsub.LeaseResult {
	b.mu.Lock()
	b.calls = append(b.calls, len(leases))
	off := b.off
	b.mu.Unlock()
	if off {
		return fail(leases)
	}
	return b.Broker.UpdateLeases(ctx, leases)
}

func fail(leases []pubsub.Lease) []pubsub.LeaseResult {
	answers := make([]pubsub.LeaseResult, len(leases))
	for i := range answers {
		answers[i].Err = pubsub.ErrUnavailable
	}
	return answers
}

func (b *cut) set(off bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.off = off
}

func (b *cut) takeCalls() (calls []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	calls, b.calls = b.calls, nil
	return calls
}

// A node that dies has lost its members within the TTL; when it is back, so
// are they.
func TestPresenceTTL(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		a := &cut{}
		first := s.node(func(b pubsub.Broker) pubsub.Broker { a.Broker = b; return a })
		second := s.node(plain)
		defer first.Close()
		defer second.Close()
		s.join(first, "alice")
		s.join(second, "bob")
		time.Sleep(time.Hour)
		synctest.Wait()
		s.events.takeAll()
		a.set(true)
		s.want(11*time.Second, "") // a lease of 18 s, 6 s old at most
		s.want(19*time.Second, "-alice")
		if got := s.members(second); !slices.Equal(got, []string{"bob"}) {
			t.Errorf("there are %q", got)
		}
		a.set(false)
		s.want(8*time.Second, "+alice")
	})
}

// A node that could not reach the broker does not expire leases right after it
// is back.
func TestPresenceBrokerAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		brokers := [2]cut{}
		var nodes []*pubsub.Presence
		for i := range brokers {
			nodes = append(nodes, s.node(func(b pubsub.Broker) pubsub.Broker { brokers[i].Broker = b; return &brokers[i] }))
			defer nodes[i].Close()
			s.join(nodes[i], fmt.Sprint("user-", i))
			time.Sleep(3 * time.Second) // their leases end apart
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		s.events.takeAll()
		for seconds := range 60 {
			away := time.Duration(seconds) * time.Second / 2
			for i := range brokers {
				brokers[i].set(true)
			}
			s.want(away, "")
			for i := range brokers {
				brokers[i].set(false)
			}
			s.want(time.Minute, "")
			if got := s.members(nodes[0]); !slices.Equal(got, []string{"user-0", "user-1"}) {
				t.Errorf("after %v the members are %q", away, got)
			}
		}
	})
}

// Joins while the broker was away, and lost everything, are published.
func TestPresenceNewsAfterLoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		b := &cut{}
		p := s.node(func(inner pubsub.Broker) pubsub.Broker { b.Broker = inner; return b })
		defer p.Close()
		s.join(p, "bob")
		membership := s.join(p, "alice")
		s.want(time.Second, "+bob +alice")
		p.Leave(membership)
		s.want(time.Minute, "-alice")
		b.set(true)
		time.Sleep(time.Hour)
		s.join(p, "alice")
		s.join(p, "carol")
		b.set(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := strings.Count(s.log.String(), "level=WARN"); n != 1 {
			t.Errorf("the log of an hour without a broker has %d warnings: %s", n, &s.log)
		}
		if got := strings.Fields(s.events.takeAll()); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"+alice", "+carol"}) {
			t.Errorf("got %q", got)
		}
		if got := s.members(p); !slices.Equal(got, []string{"alice", "bob", "carol"}) {
			t.Errorf("there are %q", got)
		}
	})
}

// The traffic to an idle node's broker is bounded by channels, not by members: one
// small lease each, a thousand per call.
func TestPresenceCost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		b := &cut{}
		p := s.node(func(inner pubsub.Broker) pubsub.Broker { b.Broker = inner; return b })
		defer p.Close()
		const members, channels = 20_000, 2500
		for i := range members {
			s.join(p, fmt.Sprint("user-", i))
		}
		for i := range channels {
			p.Join(fmt.Sprint("channel-", i), "alice", nil)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if calls := b.takeCalls(); len(calls) < 22 || len(calls) > 25 {
			t.Errorf("%d calls for %d members", len(calls), members+channels)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if calls := b.takeCalls(); len(calls) != 3 || calls[0]+calls[1]+calls[2] != channels+1 || slices.Max(calls) > 1000 {
			t.Errorf("calls of %v leases for %d channels", calls, channels+1)
		}
	})
}
