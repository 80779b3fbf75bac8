package pubsub

import (
	"container/heap"
	"context"
	"log/slog"
	"sync"
	"time"

	"comet/internal/metrics"
)

// syncer reads the logs of the tails that need it, many in one round trip, and
// tries again until the broker answers or the channel is closed. Each shard has
// lanes of its own, so that one that does not answer holds up no other, and a
// channel whose log cannot be read waits alone. A tail has one read at a time.
type syncer struct {
	broker  Broker
	timeout time.Duration
	logger  *slog.Logger
	counts  *counts
	wakeup  chan struct{} // holds a token while run has something to do
	working sync.WaitGroup
	// warnings of unreadable logs, which other programs may cause in any number
	warnings *metrics.Warnings

	mu    sync.Mutex
	queue []*Channel // that are in no lane yet
	later retries
	lanes map[laneKey]*lane
}

// syncState is what the syncer does with a tail.
type syncState uint8

const (
	// idle: nothing.
	idle syncState = iota
	// queued: it is in the queue, in a lane, or waits for a retry.
	queued
	// busy: it is being read.
	busy
	// busyAgain: it is being read, and must be read once more.
	busyAgain
)

func newSyncer(b Broker, o Options, c *counts) *syncer {
	return &syncer{
		broker: b, timeout: o.Timeout, logger: o.Logger, counts: c, warnings: metrics.NewWarnings(o.Logger),
		wakeup: make(chan struct{}, 1), lanes: make(map[laneKey]*lane),
	}
}

// add queues t, whose state has become reading.
func (s *syncer) add(t *Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch t.sync {
	case idle:
		s.enqueue(t)
	case busy:
		t.sync = busyAgain
	}
}

// enqueue puts t in the queue. The caller holds s.mu.
func (s *syncer) enqueue(t *Channel) {
	t.sync = queued
	s.queue = append(s.queue, t)
	s.wake()
}

func (s *syncer) wake() {
	select {
	case s.wakeup <- struct{}{}:
	default:
	}
}

// refresh reads t's log unless a read is under way or to come anyway.
func (s *syncer) refresh(t *Channel, why ResyncCause) {
	t.mu.Lock()
	stale := t.startRead()
	t.mu.Unlock()
	if stale {
		s.counts.resyncs.Add(why, 1)
		s.add(t)
	}
}

// next empties the queue.
func (s *syncer) next() []*Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.queue
	s.queue = nil
	return all
}

// start marks t, which was queued, as being read. It returns false if t is closed.
// The caller holds s.mu.
func (s *syncer) start(t *Channel) bool {
	t.sync = busy
	if t.closed.Load() {
		t.sync = idle
	}
	return t.sync == busy
}

// finish says that a read of t is over, and whether it needs another now.
func (s *syncer) finish(t *Channel, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.retry = nil
	again = again || t.sync == busyAgain
	if t.sync = idle; again {
		s.enqueue(t)
	}
}

// postpone says that a read of t has failed. It is tried again later.
func (s *syncer) postpone(t *Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.retry == nil {
		t.retry = newBackoff()
	}
	t.sync = queued
	heap.Push(&s.later, retry{t, time.Now().Add(t.retry.step())})
	s.wake()
}

// run works until ctx ends.
func (s *syncer) run(ctx context.Context) {
	defer s.working.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		for _, t := range s.next() {
			s.lane(t).add(ctx, t)
		}
		select {
		case <-s.wakeup:
		case <-timer.C:
		case <-ctx.Done():
		}
		if next, ok := s.dueRetries(); ok {
			timer.Reset(time.Until(next))
		}
	}
}

// dueRetries queues the tails whose time has come, and tells when the next one's
// does.
func (s *syncer) dueRetries() (next time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for now := time.Now(); len(s.later) > 0; {
		if first := s.later[0]; first.at.After(now) {
			return first.at, true
		}
		s.enqueue(heap.Pop(&s.later).(retry).tail)
	}
	return time.Time{}, false
}

// retry is a tail whose log is read again at a time.
type retry struct {
	tail *Channel
	at   time.Time
}

// retries implements heap.Interface, the earliest first.
type retries []retry

func (r retries) Len() int           { return len(r) }
func (r retries) Less(i, j int) bool { return r[i].at.Before(r[j].at) }
func (r retries) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *retries) Push(x any)        { *r = append(*r, x.(retry)) }

func (r *retries) Pop() any {
	last := len(*r) - 1
	x := (*r)[last]
	(*r)[last] = retry{}
	*r = (*r)[:last]
	return x
}
