package pubsubtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comet/pubsub"
)

// Times of presence. A store's leases end by its own clock: a node that this
// machine lets wait for longer than a lease (3/5 of the TTL) loses its members by
// right, and so does one that comes back after the grace.
const (
	presenceTTL   = 15 * time.Second
	presenceGrace = 200 * time.Millisecond // where no user comes back
	longGrace     = 5 * time.Second        // where users do
)

// presenceNode is one node with presence in all channels.
type presenceNode struct {
	t        *testing.T
	hub      *pubsub.Hub
	presence *pubsub.Presence
	broker   *killable
}

// killable is a broker whose node can be dead for the others: it sends no leases.
type killable struct {
	pubsub.Broker
	dead atomic.Bool
}

var errDead = errors.New("the test has killed this node")

func (b *killable) UpdateLeases(ctx context.Context, leases []pubsub.Lease) []pubsub.LeaseResult {
	if !b.dead.Load() {
		return b.Broker.UpdateLeases(ctx, leases)
	}
	answers := make([]pubsub.LeaseResult, len(leases))
	for i := range answers {
		answers[i].Err = errDead
	}
	return answers
}

// joinNode joins a node, which the test may close before its end.
func joinNode(t *testing.T, c *Cluster, o pubsub.PresenceOptions) *presenceNode {
	t.Helper()
	p := &presenceNode{t: t, broker: &killable{Broker: c.Node()}}
	o.Enabled = func(string) bool { return true }
	o.TTL, o.Grace = presenceTTL, cmp.Or(o.Grace, presenceGrace)
	p.presence = pubsub.NewPresence(p.broker, o)
	p.hub = hubOver(t, p.broker, pubsub.Options{OnOpened: p.presence.ChannelOpened, OnClosed: p.presence.ChannelClosed})
	t.Cleanup(p.presence.Close) // before the hub's
	return p
}

func (p *presenceNode) join(user string) pubsub.Membership {
	p.t.Helper()
	info, err := json.Marshal(map[string]string{"name": user})
	if err != nil {
		p.t.Fatal(err)
	}
	s, ok := p.presence.Join("c", user, info)
	if !ok {
		p.t.Fatal("the channel has no presence")
	}
	return s
}

// members is everybody, read in pages of a size.
func (p *presenceNode) members(size int) (all []pubsub.Member) {
	p.t.Helper()
	for after := ""; ; {
		page, err := p.presence.Members(p.t.Context(), "c", after, size)
		if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, page.Members...)
		if len(page.Members) > size {
			p.t.Fatalf("a page of %d members, want %d at most", len(page.Members), size)
		}
		if !page.More {
			if page.Count != len(all) {
				p.t.Fatalf("%d members counted and %d read", page.Count, len(all))
			}
			return all
		}
		after = page.Members[len(page.Members)-1].User
	}
}

// await waits until these are there, and no others.
func (p *presenceNode) await(users ...string) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		page, err := p.presence.Members(p.t.Context(), "c", "", pubsub.MaxMembers)
		if err == nil && slices.Equal(usersOf(page.Members), users) {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			p.t.Fatalf("waited %v for %q; there are %q, %v", patience, users, usersOf(page.Members), err)
		}
	}
}

func usersOf(members []pubsub.Member) []string {
	users := make([]string, len(members))
	for i := range members {
		users[i] = members[i].User
	}
	return users
}

// joinsAndLeaves are those among a reader's items, as "+alice -alice".
func joinsAndLeaves(items []pubsub.Item) string {
	var all []string
	for _, it := range items {
		if it.Message == nil || !strings.HasPrefix(it.Message.Type, pubsub.ControlPrefix) {
			continue
		}
		var m pubsub.Member
		sign := map[string]string{pubsub.JoinType: "+", pubsub.LeaveType: "-"}[it.Message.Type]
		if err := json.Unmarshal(it.Message.Data, &m); err != nil || !it.Message.Ephemeral() || sign == "" {
			return fmt.Sprintf("%s %s: %v", it.Message.Type, it.Message.Data, err)
		}
		if string(m.Info) != fmt.Sprintf(`{"name":%q}`, m.User) {
			return fmt.Sprintf("%s has the info %s", m.User, m.Info)
		}
		all = append(all, sign+m.User)
	}
	return strings.Join(all, " ")
}

// awaitPresence waits until r has these joins and leaves, in that order, and no
// others.
func (r *reader) awaitPresence(want string) {
	r.t.Helper()
	items := r.until(want, func(items []pubsub.Item) bool { return len(joinsAndLeaves(items)) >= len(want) })
	if got := joinsAndLeaves(items); got != want {
		r.t.Fatalf("got %q, want %q", got, want)
	}
}

// pass returns when a time has passed in which something could have happened
// that must not.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// A user with connections to several nodes is there once.
func testPresenceOnce(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := joinNode(t, c, pubsub.PresenceOptions{}), joinNode(t, c, pubsub.PresenceOptions{})
	readers := []*reader{read(t, a.hub, "c", pubsub.From{}), read(t, b.hub, "c", pubsub.From{})}
	began := time.Now().Add(-time.Minute)
	first, second := a.join("alice"), a.join("alice")
	a.await("alice")
	third := b.join("alice")
	bob := b.join("bob")
	b.await("alice", "bob")
	members := a.members(1)
	if since := members[0].Since; since.Before(began) || since.After(time.Now().Add(time.Minute)) || string(members[1].Info) != `{"name":"bob"}` {
		t.Errorf("members %+v", members)
	}
	a.presence.Leave(first)
	a.presence.Leave(second)
	b.presence.Leave(bob)
	pass(t, 2*presenceGrace)
	a.await("alice")
	for _, r := range readers {
		r.awaitPresence("+alice +bob -bob")
	}
	b.presence.Leave(third)
	b.await()
	for _, r := range readers {
		r.awaitPresence("+alice +bob -bob -alice")
	}
}

// A user that comes back within the grace, to any node, was never away.
func testPresenceGrace(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	graceful := pubsub.PresenceOptions{Grace: longGrace}
	a, b := joinNode(t, c, graceful), joinNode(t, c, graceful)
	r := read(t, b.hub, "c", pubsub.From{})
	membership := a.join("alice")
	a.await("alice")
	for range 20 {
		a.presence.Leave(membership)
		membership = a.join("alice")
	}
	a.presence.Leave(membership)
	moved := b.join("alice")
	marker := b.join("marker")
	b.await("alice", "marker")
	b.presence.Leave(marker) // after its grace, alice's is over too
	b.await("alice")
	r.awaitPresence("+alice +marker -marker")
	b.presence.Leave(moved)
	b.await()
	r.awaitPresence("+alice +marker -marker -alice")
}

// Many members come in pages, each once, in order.
func testPresencePages(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := joinNode(t, c, pubsub.PresenceOptions{}), joinNode(t, c, pubsub.PresenceOptions{})
	const total = 2500
	var want []string
	for i := range total {
		user := fmt.Sprintf("user %04d é", i)
		want = append(want, user)
		[]*presenceNode{a, b}[i%2].join(user)
	}
	b.awaitCount(total)
	for _, size := range []int{1000, 700} {
		if got := usersOf(a.members(size)); !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %d members from %q to %q", size, len(got), got[0], got[len(got)-1])
		}
	}
}

func (p *presenceNode) awaitCount(n int) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		page, err := p.presence.Members(p.t.Context(), "c", "", 1)
		if err == nil && page.Count == n {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			p.t.Fatalf("waited %v for %d members; there are %d, %v", patience, n, page.Count, err)
		}
	}
}

// A channel keeps up to MemberLimit members. A leave makes room for the next join.
func testPresenceBounded(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a := joinNode(t, c, pubsub.PresenceOptions{MemberLimit: 2})
	r := read(t, a.hub, "c", pubsub.From{})
	alice := a.join("alice")
	a.await("alice")
	a.join("bob")
	a.await("alice", "bob")
	carol := a.join("carol")
	a.presence.Leave(alice)
	a.await("bob")
	a.presence.Leave(carol)
	a.join("dave")
	a.await("bob", "dave")
	r.awaitPresence("+alice +bob -alice +dave")
}
