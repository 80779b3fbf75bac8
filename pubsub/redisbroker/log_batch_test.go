package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/internal/testenv"
	"comet/pubsub"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

// numbered returns n drafts of a channel, every seventh with a key. Together they are
// larger than what Redis reads of a pipeline at once.
func numbered(channel string, n int) []pubsub.Draft {
	drafts := make([]pubsub.Draft, n)
	for i := range drafts {
		drafts[i] = pubsub.Draft{Channel: channel, Type: pubsub.DefaultType, Data: fmt.Appendf(nil, `[%d,"%s"]`, i, strings.Repeat("x", 300))}
		if i%7 == 0 {
			drafts[i].Key = fmt.Sprint("key", i)
		}
	}
	return drafts
}

// wantOrder fails unless the channel's log has the first n numbered drafts, in
// order.
func wantOrder(t *testing.T, b pubsub.Broker, channel string, n int) {
	t.Helper()
	var cursor pubsub.ID
	for i := 0; i < n; {
		page := b.Read(t.Context(), []pubsub.Query{{Channel: channel, Cursor: cursor, Limit: 100}})[0]
		if page.Err != nil || len(page.Messages) == 0 {
			t.Fatalf("%s has %d messages, want %d (%v)", channel, i, n, page.Err)
		}
		for _, m := range page.Messages {
			if !strings.HasPrefix(string(m.Data), fmt.Sprintf("[%d,", i)) {
				t.Fatalf("%s: %.10s stands at %d", channel, m.Data, i)
			}
			cursor = m.ID
			i++
		}
	}
}

// inLoop repeats a function until the test ends.
func inLoop(t *testing.T, do func(ctx context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	var busy sync.WaitGroup
	busy.Go(func() {
		for ctx.Err() == nil {
			do(ctx)
		}
	})
	t.Cleanup(func() {
		stop()
		busy.Wait()
	})
}

// Scripts are flushed and loaded all the time, in the middle of batches: the messages of
// each channel keep their order.
func TestBatchOrder(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := newBroker(t, withKept(at(server.Addr())))
	t.Cleanup(func() { _ = b.Close() })
	other := newBroker(t, withKept(at(server.Addr())))
	t.Cleanup(func() { _ = other.Close() })
	client := server.Client()
	inLoop(t, func(ctx context.Context) { client.ScriptFlush(ctx) })
	inLoop(t, func(ctx context.Context) {
		other.Publish(ctx, []pubsub.Draft{{Channel: "other", Type: pubsub.DefaultType, Data: []byte("1")}})
	})
	var all sync.WaitGroup
	for publisher := range 2 {
		all.Go(func() {
			for i := range 10 {
				first, second := fmt.Sprintf("a%d/%d", publisher, i), fmt.Sprintf("b%d/%d", publisher, i)
				drafts := append(numbered(first, 150), numbered(second, 70)...)
				for n, r := range b.Publish(t.Context(), drafts) {
					if r.Err != nil {
						t.Errorf("%s: %v", drafts[n].Channel, r.Err)
						return
					}
				}
				wantOrder(t, b, first, 150)
				wantOrder(t, b, second, 70)
			}
		})
	}
	all.Wait()
}

// withKept returns options that keep everything.
func withKept(o redisbroker.Options) redisbroker.Options {
	o.Size, o.TTL, o.KeyWindow = 100_000, time.Hour, time.Minute
	return o
}

// A slot moves to and fro in the middle of batches with and without keys: the messages
// of each channel keep their order.
func TestBatchOrderMovedSlot(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	cluster := redistest.StartCluster(t, 3, 0)
	nodes := cluster.Nodes()
	options := withKept(reach(cluster))
	options.Timeout = 20 * time.Second
	b := newBroker(t, options)
	t.Cleanup(func() { _ = b.Close() })
	channel := channelAt(cluster, nodes[0], 0)
	slot := slotOf(cluster, channel)
	const size = 40
	drafts := numbered(channel, 500*size)
	published := 0
	stop := make(chan struct{})
	var publisher sync.WaitGroup
	publisher.Go(func() {
		for ; published+size <= len(drafts); published += size {
			select {
			case <-stop:
				return
			default:
			}
			for n, r := range b.Publish(t.Context(), drafts[published:published+size]) {
				if r.Err != nil {
					t.Errorf("draft %d: %v", published+n, r.Err)
					return
				}
			}
		}
	})
	for i := range 6 {
		cluster.MoveSlot(slot, nodes[(i+1)%2])
	}
	close(stop)
	publisher.Wait()
	if published == 0 {
		t.Error("nothing was published meanwhile")
	}
	wantOrder(t, b, channel, published)
}

// A batch of many channels with min_replicas takes a few connections, and one
// WAIT for each of its pipelines.
func TestBatchReplicas(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.TCP)
	replica := redistest.Replica(t, server)
	server.AwaitReplica(replica)
	options := withKept(at(server.Addr()))
	options.MinReplicas, options.Timeout = 1, 20*time.Second
	b := newBroker(t, options)
	t.Cleanup(func() { _ = b.Close() })
	drafts := make([]pubsub.Draft, 2000)
	for i := range drafts {
		drafts[i] = pubsub.Draft{Channel: fmt.Sprint("c", i/2), Type: pubsub.DefaultType, Data: []byte("1")}
	}
	for i, r := range b.Publish(t.Context(), drafts) {
		if r.Err != nil {
			t.Fatalf("draft %d: %v", i, r.Err)
		}
	}
	if s := b.Stats().Pool; s.Timeouts > 0 || s.Busy+s.Idle > 3 {
		t.Errorf("pool: %+v", s)
	}
	// Without the replica each draft fails, and each is in the log.
	replica.Freeze()
	defer replica.Thaw()
	options.Timeout = time.Second
	short := newBroker(t, options)
	t.Cleanup(func() { _ = short.Close() })
	for i, r := range short.Publish(t.Context(), drafts[:10]) {
		if !errors.Is(r.Err, pubsub.ErrOutcomeUnknown) {
			t.Errorf("draft %d: %v", i, r.Err)
		}
	}
}

// A lease that Redis has applied is not sent again when the script was not loaded for
// another one.
func TestHoldOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := newBroker(t, withKept(at(server.Addr())))
	t.Cleanup(func() { _ = b.Close() })
	client := server.Client()
	inLoop(t, func(ctx context.Context) { client.ScriptFlush(ctx) })
	inLoop(t, func(ctx context.Context) { b.UpdateLeases(ctx, []pubsub.Lease{hold("other", "alice")}) })
	for i := range 20 {
		holdings := make([]pubsub.Lease, 100)
		for n := range holdings {
			holdings[n] = hold(fmt.Sprintf("c%d/%d", i, n), "alice")
		}
		for n, held := range b.UpdateLeases(t.Context(), holdings) {
			if held.Err != nil || held.Lost {
				t.Fatalf("holding %d: %+v", n, held)
			}
		}
	}
}
