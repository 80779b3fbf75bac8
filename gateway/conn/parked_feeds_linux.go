package conn

import (
	"sync"

	"comet/pubsub"
)

// feedTable has the feeds of a Parker, and joins connections to them.
type feedTable struct {
	portable *Portable // has Written
	writers  int

	mu    sync.Mutex // guards all below and feed.users
	byKey map[feedKey]*feed
}

func newFeedTable(p *Portable, writers int) feedTable {
	return feedTable{portable: p, writers: writers, byKey: make(map[feedKey]*feed)}
}

// joinStream gives q its positions in the feeds; false if items have come since.
func (t *feedTable) joinStream(q *parked, s *Stream) bool {
	if s.Several || s.Skip != "" {
		t.joinSubscriber(q, s.Subscriber, s.Cursors, s.Skip)
		return true
	}
	channel, next, _ := s.Subscriber.TailOffset(0)
	return t.joinFeed(q, channel, next)
}

// joinFeed gives q its position in the feed of its only channel; false if items have
// come since.
func (t *feedTable) joinFeed(q *parked, channel *pubsub.Channel, next uint64) bool {
	f := t.acquire(feedKey{channel: channel, format: q.format})
	shard, offset, ok := f.join(q.writer, next)
	if !ok {
		t.release(f)
		return false
	}
	q.single[0] = position{shard: shard, next: offset}
	q.positions = q.single[:]
	return true
}

// joinSubscriber gives q, which has an unshared encoder, the positions of a subscriber. It
// leaves out the messages of the sender skip, unless that is "".
func (t *feedTable) joinSubscriber(q *parked, s *pubsub.Subscriber, cursors *pubsub.CursorSet, skip string) {
	q.unshared = &unshared{cursors: cursors}
	q.unshared.setSkip(skip)
	for i := range s.Channels() {
		channel, next, _ := s.TailOffset(i)
		t.joinUnshared(q, channel, next)
	}
}

// joinUnshared gives q, which has an unshared encoder, a position in one more channel.
func (t *feedTable) joinUnshared(q *parked, channel *pubsub.Channel, next uint64) {
	shard, _, _ := t.acquire(feedKey{channel: channel, unshared: true}).join(q.writer, next)
	q.positions = append(q.positions, position{shard: shard, next: next})
}

// leave undoes the joins of q, which has not been added to its writer.
func (t *feedTable) leave(q *parked) {
	for i := range q.positions {
		s := q.positions[i].shard
		s.joined()
		s.leave(false)
		t.release(s.feed)
	}
}

// joinResult gives q its positions. It is false if q is a stream of one channel in
// which messages have come since.
func (t *feedTable) joinResult(q *parked, next *FastResult) bool {
	if q.poll == nil && len(next.Channels) == 1 && next.Skip == "" {
		return t.joinFeed(q, next.Channels[0], next.Positions[0])
	}
	q.unshared = &unshared{cursors: next.Cursors}
	q.unshared.setSkip(next.Skip)
	for i, channel := range next.Channels {
		t.joinUnshared(q, channel, next.Positions[i])
	}
	return true
}

// acquire finds or makes a feed; call release after use. Each use also holds
// the channel, so that the hub knows the number of its subscribers.
func (t *feedTable) acquire(key feedKey) *feed {
	key.channel.Retain()
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.byKey[key]
	if f == nil {
		f = &feed{key: key, shards: make([]*shard, t.writers)}
		if t.portable.Written != nil {
			f.traces = &traces{written: t.portable.Written}
		}
		t.byKey[key] = f
		f.mu.Lock()
		f.next = key.channel.Watch(&f.watch, f)
		f.mu.Unlock()
	}
	f.users++
	return f
}

// release undoes one acquire. The last one removes the feed.
func (t *feedTable) release(f *feed) {
	t.mu.Lock()
	f.users--
	last := f.users == 0
	if last {
		delete(t.byKey, f.key)
	}
	t.mu.Unlock()
	if last {
		f.key.channel.Unwatch(&f.watch)
	}
	f.key.channel.Release()
}
