package pubsub_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"comet/pubsub"
)

// unsteady is a broker that may fail before or after it has done something.
type unsteady struct {
	pubsub.Broker
	random *rand.Rand
	steady *atomic.Bool
}

func (b *unsteady) UpdateLeases(ctx context.Context, leases []pubsub.Lease) []pubsub.LeaseResult {
	if b.steady.Load() {
		return b.Broker.UpdateLeases(ctx, leases)
	}
	time.Sleep(time.Duration(b.random.IntN(2000)) * time.Millisecond)
	switch b.random.IntN(4) {
	case 0:
		return fail(leases)
	case 1:
		b.Broker.UpdateLeases(ctx, leases)
		return fail(leases)
	}
	return b.Broker.UpdateLeases(ctx, leases)
}

// Users come and go at three nodes. Their broker fails now and then, before or
// after it applied a call, and one node dies. Each user's joins and leaves
// alternate, and add up to the members at the end.
func TestPresenceRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) { testPresenceRandom(t, seed) })
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

func testPresenceRandom(t *testing.T, seed uint64) {
	s := newStage(t)
	random := rand.New(rand.NewPCG(seed, 0))
	var steady atomic.Bool
	dead := &cut{}
	nodes := make([]*pubsub.Presence, 3)
	for i := range nodes {
		nodes[i] = s.node(func(b pubsub.Broker) pubsub.Broker {
			u := &unsteady{b, rand.New(rand.NewPCG(seed, uint64(i)+1)), &steady}
			if i == 2 {
				dead.Broker = u
				return dead
			}
			return u
		})
		defer nodes[i].Close()
	}
	type connection struct {
		node       int
		user       string
		membership pubsub.Membership
	}
	var open []connection
	for range 300 {
		time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
		if i := random.IntN(15); i < len(open) {
			nodes[open[i].node].Leave(open[i].membership)
			open = slices.Delete(open, i, i+1)
			continue
		}
		c := connection{node: random.IntN(3), user: fmt.Sprint("user-", random.IntN(6))}
		c.membership = s.join(nodes[c.node], c.user)
		open = append(open, c)
	}
	dead.set(true)
	time.Sleep(3 * time.Second)
	synctest.Wait()
	steady.Store(true)
	time.Sleep(2 * time.Minute)
	synctest.Wait()

	there := make(map[string]bool)
	for word := range strings.FieldsSeq(s.events.takeAll()) {
		if joins, user := word[0] == '+', word[1:]; there[user] == joins {
			t.Errorf("%s, who was so already", word)
		} else if joins {
			there[user] = true
		} else {
			delete(there, user)
		}
	}
	want := make(map[string]bool)
	for _, c := range open {
		if c.node != 2 {
			want[c.user] = true
		}
	}
	users := slices.Sorted(maps.Keys(want))
	if got := s.members(nodes[0]); !slices.Equal(got, users) || !maps.Equal(there, want) {
		t.Errorf("members %q, by joins and leaves %q, want %q", got, slices.Sorted(maps.Keys(there)), users)
	}
}
