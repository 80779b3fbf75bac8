package conn

import (
	"sync"

	"comet/pubsub"
)

// feedTable has the feeds of a Parker, and joins connections to them.
type feedTable struct {
	portable *Portable // has Written
	writers  int

	mu        sync.Mutex // guards all below and feed.users
	byKey     map[feedKey]*feed
	byPattern map[patternKey]*feed
}

func newFeedTable(p *Portable, writers int) feedTable {
	return feedTable{portable: p, writers: writers, byKey: make(map[feedKey]*feed), byPattern: make(map[patternKey]*feed)}
}

// joinStream gives q its positions in the feeds; false if items have come since.
func (t *feedTable) joinStream(q *parked, s *Stream) bool {
	if f := s.Subscriber.OnePattern(); f != nil && s.Skip == "" {
		logs, next := make([]*pubsub.Channel, s.Subscriber.Channels()), make([]uint64, s.Subscriber.Channels())
		for i := range logs {
			logs[i], next[i], _ = s.Subscriber.TailOffset(i)
		}
		return t.joinPattern(q, f, logs, next)
	}
	if s.Several || s.Skip != "" {
		t.joinSubscriber(q, s.Subscriber, s.Cursors, s.Skip)
		return true
	}
	channel, next, _ := s.Subscriber.TailOffset(0)
	channel.Retain()
	return t.joinFeed(q, channel, next)
}

// joinFeed gives q its position in the feed of its only channel; false if items have
// come since. It takes over a hold on the channel, also then.
func (t *feedTable) joinFeed(q *parked, channel *pubsub.Channel, next uint64) bool {
	f := t.acquire(feedKey{channel: channel, format: q.format, gzip: q.gzip})
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
		channel.Retain()
		t.joinUnshared(q, channel, next, s.Filter(i))
	}
	q.countPatterns(1)
}

// joinUnshared gives q, which has an unshared encoder, a position in one more channel. It
// takes over a hold on it. filter may be nil.
func (t *feedTable) joinUnshared(q *parked, channel *pubsub.Channel, next uint64, filter *pubsub.Filter) {
	shard, _, _ := t.acquire(feedKey{channel: channel, unshared: true}).join(q.writer, next)
	if q.positions == nil {
		q.positions = q.single[:0]
	}
	q.positions = append(q.positions, position{shard: shard, next: next})
	if filter != nil && q.unshared.filters == nil {
		q.unshared.filters = make([]*pubsub.Filter, len(q.positions)-1)
	}
	if q.unshared.filters != nil {
		q.unshared.filters = append(q.unshared.filters, filter)
	}
}

// leave undoes the joins of q, which has not been added to its writer.
func (t *feedTable) leave(q *parked) {
	q.countPatterns(-1)
	q.joined()
	for i := range q.positions {
		s := q.positions[i].shard
		s.leave(false)
		t.release(s.feed)
	}
}

// joinResult gives q its positions. It is false if q is a stream of one channel in
// which messages have come since. It takes over the holds on the channels, also then.
func (t *feedTable) joinResult(q *parked, next *FastResult) bool {
	if f := pubsub.OnePattern(next.Starts); f != nil && q.poll == nil && next.Skip == "" {
		defer next.Release() // the feed has its own holds
		return t.joinPattern(q, f, next.Channels, next.Positions)
	}
	if q.poll == nil && len(next.Channels) == 1 && next.Skip == "" {
		return t.joinFeed(q, next.Channels[0], next.Positions[0])
	}
	q.unshared = &unshared{cursors: next.Cursors}
	q.unshared.setSkip(next.Skip)
	for i, channel := range next.Channels {
		t.joinUnshared(q, channel, next.Positions[i], next.filter(i))
	}
	q.countPatterns(1)
	return true
}

// rejoin gives q, a poll that is repeated, its positions. It takes over the holds on the
// channels.
func (t *feedTable) rejoin(q *parked, next *FastResult) {
	for i, channel := range next.Channels {
		t.joinUnshared(q, channel, next.Positions[i], nil)
	}
}

// acquire finds or makes a feed; call release after use. Each use takes over a hold on
// the channel, so that the hub knows the number of its subscribers.
func (t *feedTable) acquire(key feedKey) *feed {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.byKey[key]
	if f == nil {
		f = t.newFeed(key, nil)
		t.byKey[key] = f
		f.mu.Lock()
		f.next, _ = key.channel.Watch(&f.watch, f)
		f.mu.Unlock()
	}
	f.users++
	return f
}

// newFeed makes a feed, that of a pattern with m.
func (t *feedTable) newFeed(key feedKey, m *merge) *feed {
	f := &feed{key: key, shards: make([]*shard, t.writers)}
	if m != nil || key.gzip || t.portable.Written != nil {
		f.extra = &extra{merge: m}
	}
	if key.gzip {
		f.extra.gzip = new(sharedGzip)
	}
	if t.portable.Written != nil {
		f.extra.traces = &traces{written: t.portable.Written}
	}
	return f
}

// release undoes one acquire, and releases the channel. The last one removes the feed.
func (t *feedTable) release(f *feed) {
	t.mu.Lock()
	f.users--
	last := f.users == 0
	m := f.merge()
	switch {
	case last && m != nil:
		delete(t.byPattern, m.key)
	case last:
		delete(t.byKey, f.key)
	}
	t.mu.Unlock()
	if g := f.gzip(); last && g != nil {
		defer g.end(f)
	}
	if m != nil {
		m.sources[0].channel.Hub().CountPattern(m.filter.Pattern, -1)
		if last {
			m.end()
		}
		return
	}
	if last {
		f.key.channel.Unwatch(&f.watch)
	}
	f.key.channel.Release()
}
