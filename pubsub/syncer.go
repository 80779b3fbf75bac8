package pubsub

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// A batch of reads is one pipeline. With 64 KiB messages a batch of full pages
// would be 256 MiB; nearly all pages are empty or short.
const (
	syncBatch = 128
	syncPage  = 32
)

// syncer reads the logs of the tails that need it, many in one round trip, and
// tries again until the broker answers. One goroutine does it, so that a tail
// has one read under way at a time.
type syncer struct {
	broker  Broker
	timeout time.Duration
	logger  *slog.Logger
	counts  *counts
	wake    chan struct{} // holds a token while queue may be non-empty

	mu    sync.Mutex
	queue []*Channel // each tail at most once, see Channel.queued
}

func newSyncer(b Broker, o Options, c *counts) *syncer {
	return &syncer{broker: b, timeout: o.Timeout, logger: o.Logger, counts: c, wake: make(chan struct{}, 1)}
}

// add queues tails whose state has become reading.
func (s *syncer) add(tails ...*Channel) {
	s.mu.Lock()
	for _, t := range tails {
		if !t.queued {
			t.queued = true
			s.queue = append(s.queue, t)
		}
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// refresh reads t's log unless a read is under way or to come anyway.
func (s *syncer) refresh(t *Channel, why Cause) {
	t.mu.Lock()
	stale := t.stale()
	t.mu.Unlock()
	if stale {
		s.counts.resyncs.Add(why, 1)
		s.add(t)
	}
}

// next takes a batch off the queue.
func (s *syncer) next() []*Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.queue), syncBatch)
	batch := s.queue[:n:n]
	s.queue = s.queue[n:]
	for _, t := range batch {
		t.queued = false
	}
	return batch
}

// run works until ctx ends.
func (s *syncer) run(ctx context.Context) {
	backoff := newBackoff()
	for ctx.Err() == nil {
		batch := s.next()
		if len(batch) == 0 {
			select {
			case <-s.wake:
			case <-ctx.Done():
			}
			continue
		}
		if failed := s.read(ctx, batch); len(failed) > 0 {
			backoff.wait(ctx)
			s.add(failed...)
		} else {
			backoff.reset()
		}
	}
}

// read reads once for each tail and queues those that need more. It returns
// those whose read failed.
func (s *syncer) read(ctx context.Context, batch []*Channel) (failed []*Channel) {
	queries := make([]Query, len(batch))
	for i, t := range batch {
		t.mu.Lock()
		queries[i] = t.query(syncPage)
		t.mu.Unlock()
	}
	s.counts.reads.Add(ForTail, len(queries))
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for i, p := range s.broker.Read(ctx, queries) {
		t := batch[i]
		if p.Err != nil {
			s.logger.Debug("reading a log failed, will try again", "channel", queries[i].Channel, "error", p.Err)
			failed = append(failed, t)
			continue
		}
		if s.taken(t, &p) {
			s.add(t)
		}
	}
	return failed
}

// taken gives a page to its tail and reports whether it needs another read.
func (s *syncer) taken(t *Channel, p *Page) (again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !t.opened
	end, _ := t.end()
	again = t.take(p)
	if !first {
		s.counts.told(t.items[end-t.first:])
	}
	t.tellWatchers(end)
	if first {
		close(t.ready)
	}
	return again
}

// backoff waits 50 ms, then twice as long each time up to 2 s, less up to half
// of it by chance.
type backoff struct{ next time.Duration }

const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 2 * time.Second
)

func newBackoff() *backoff { return &backoff{next: minBackoff} }

func (b *backoff) reset() { b.next = minBackoff }

// step is the time to wait now.
func (b *backoff) step() time.Duration {
	d := b.next
	b.next = min(2*b.next, maxBackoff)
	return d - rand.N(d/2)
}

func (b *backoff) wait(ctx context.Context) {
	t := time.NewTimer(b.step())
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
