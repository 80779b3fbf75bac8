package pubsub

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A batch of reads is one pipeline; see pace for how many there are.
const (
	syncChannels = 128
	syncMessages = 32
)

// laneKey names a lane. Tails that are to be opened need only the end of their
// logs: they never wait for what others have missed.
type laneKey struct {
	shard   any
	opening bool
}

// lane reads the logs of one shard, one batch after the other. Its goroutine
// runs while there is something to read; l.mu goes before syncer.mu.
type lane struct {
	*syncer
	key     laneKey
	pace    pace // of the goroutine
	backoff *backoff
	suspect *Channel // of the goroutine: the one whose read failed alone last; nil: a read has succeeded since

	mu      sync.Mutex
	queue   []*Channel
	running bool
}

// lane finds or makes the lane for t.
func (s *syncer) lane(t *Channel) *lane {
	t.mu.Lock()
	key := laneKey{opening: !t.opened}
	t.mu.Unlock()
	key.shard = s.broker.Shard(t.Name())
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[key]
	if l == nil {
		l = &lane{syncer: s, key: key, pace: newPace(syncChannels, syncMessages), backoff: newBackoff()}
		if key.opening {
			l.pace.channels = syncChannels
		}
		s.lanes[key] = l
	}
	return l
}

// add queues t, and starts the goroutine if there is none.
func (l *lane) add(ctx context.Context, t *Channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, t)
	if !l.running {
		l.running = true
		l.working.Go(func() { l.run(ctx) })
	}
}

func (l *lane) run(ctx context.Context) {
	for {
		batch := l.next()
		if len(batch) == 0 || ctx.Err() != nil {
			return
		}
		if !l.read(ctx, batch) {
			l.backoff.wait(ctx)
		} else {
			l.backoff.reset()
		}
	}
}

// next takes a batch off the queue, without channels that were closed. If it is
// empty the goroutine ends.
func (l *lane) next() (batch []*Channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.syncer.mu.Lock()
	defer l.syncer.mu.Unlock()
	for len(l.queue) > 0 && len(batch) < l.pace.channels {
		t := l.queue[0]
		l.queue = l.queue[1:]
		if l.start(t) {
			batch = append(batch, t)
		}
	}
	if l.running = len(batch) > 0; !l.running && l.lanes[l.key] == l {
		delete(l.lanes, l.key)
	}
	return batch
}

// read reads once for each tail, and sees to it that those whose read failed are
// read again. It returns false if the shard does not answer.
func (l *lane) read(ctx context.Context, batch []*Channel) bool {
	queries := make([]Query, len(batch))
	for i, t := range batch {
		t.mu.Lock()
		queries[i] = t.query(l.pace.messages)
		t.mu.Unlock()
		queries[i].Bytes = min(max(heavyRead/len(batch), PageBytes/4), PageBytes)
	}
	l.counts.reads.Add(ForTail, len(queries))
	limited, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	pages := l.broker.Read(limited, queries)
	failures := 0
	for i := range pages {
		if err := pages[i].Err; err != nil && !errors.Is(err, ErrUnreadable) {
			l.logger.Debug("log read failed; retrying", "channel", queries[i].Channel, "error", err)
			batch[i].readFailed(err)
			failures++
		}
	}
	if failures > 0 {
		l.pace.failed()
	} else {
		l.pace.succeeded(pages)
	}
	away := failures == len(batch) && !l.isAlone(batch[0], len(batch))
	if failures < len(batch) {
		l.suspect = nil
	}
	for i, t := range batch {
		switch err := pages[i].Err; {
		case err == nil:
			l.finish(t, l.applyPage(t, &pages[i]))
		case away:
			l.finish(t, true)
		case errors.Is(err, ErrUnreadable):
			l.unreadable(t, err)
			l.postpone(t)
		default:
			l.postpone(t)
		}
	}
	return !away
}

// isAlone reports whether a batch of n that failed, t its first, may be the
// trouble of t alone: no other channel's read has failed since one succeeded.
func (l *lane) isAlone(t *Channel, n int) bool {
	alone := n == 1 && (l.suspect == nil || l.suspect == t)
	l.suspect = t
	return alone
}

// applyPage gives a page to its tail and reports whether it needs another read.
func (l *lane) applyPage(t *Channel, p *Page) (again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unconfirmed = time.Time{}
	first := !t.opened
	end, _ := t.end()
	again = t.addPage(p)
	if !first {
		l.counts.addGaps(t.items[end-t.first:])
	}
	t.notifyWatchers(end)
	if first {
		close(t.opening.Swap(opened).ready)
	}
	return again
}

// unreadable reports an unreadable log to the subscribers of t, and to those that
// wait for it to open.
func (l *lane) unreadable(t *Channel, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	end, _ := t.end()
	if !t.unreadable() {
		return // known already
	}
	l.counts.addGaps(t.items[end-t.first:])
	t.notifyWatchers(end)
	if !t.opened {
		close(t.opening.Load().broken)
	}
	l.warnings.Warn("log unreadable; subscribers get a gap", "channel", t.Name(), "error", err)
}
