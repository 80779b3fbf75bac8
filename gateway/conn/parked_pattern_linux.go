package conn

import (
	"comet/gateway/wire"
	"comet/pubsub"
)

// patternKey identifies the feed of a pattern.
type patternKey struct {
	pattern string
	format  wire.Format
	gzip    bool
}

// merge is what the feed of a pattern has in addition. It takes from all index logs of
// the pattern, encodes what the pattern matches, and gives each event the cursor of all
// these logs. So streams of a pattern share their encoding, as those of a channel do.
type merge struct {
	key     patternKey
	filter  *pubsub.Filter
	sources []source

	// Guarded by feed.mu.
	cursors *pubsub.CursorSet // after what was taken
	skipped int               // messages that were left out since the last event
}

// source is one index log of a merge.
type source struct {
	feed    *feed
	index   int // in cursors
	channel *pubsub.Channel
	watch   pubsub.Watch
	next    uint64 // the position in the tail after what was taken; guarded by feed.mu
}

var _ pubsub.Watcher = (*source)(nil)

// skippedPerCursor is how many messages may be left out before the streams get an event
// that only moves their cursor. Without it a stream that gets few of many messages would
// resume from far back, and where the log does not reach any more.
const skippedPerCursor = 100

// Grown implements pubsub.Watcher.
func (s *source) Grown(items []pubsub.Item) {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	s.next += uint64(len(items))
	m := f.merge()
	items = m.filter.Apply(items)
	newest, before := len(f.buf), f.end()
	var scratch [256]byte
	for i := range items {
		m.cursors.Set(s.index, items[i].After)
		if items[i].Message == nil && items[i].Gap == nil {
			m.skipped++
			continue
		}
		newest, m.skipped = len(f.buf), 0
		f.encode(&items[i], m.cursors.Append(scratch[:0]), true)
	}
	if m.skipped >= skippedPerCursor {
		m.skipped = 0
		f.append(m.key.format.AppendCursor(nil, m.cursors.Append(scratch[:0])))
	}
	if f.finish(newest); f.end() > before {
		f.wake(items)
	}
}

// acquirePattern finds or makes the feed of a pattern with all its index logs; call
// release after use.
func (t *feedTable) acquirePattern(filter *pubsub.Filter, format wire.Format, gzip bool, logs []*pubsub.Channel) *feed {
	logs[0].Hub().CountPattern(filter.Pattern, 1)
	for _, log := range logs {
		log.Retain()
	}
	f, made := t.findPattern(filter, format, gzip, logs)
	if !made { // the feed holds them already
		for _, log := range logs {
			log.Release()
		}
	}
	return f
}

// findPattern finds or makes the feed, and counts a use.
func (t *feedTable) findPattern(filter *pubsub.Filter, format wire.Format, gzip bool, logs []*pubsub.Channel) (f *feed, made bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := patternKey{pattern: filter.Pattern.String(), format: format, gzip: gzip}
	f = t.byPattern[key]
	if made = f == nil; made {
		m := &merge{key: key, filter: filter, sources: make([]source, len(logs))}
		f = t.newFeed(feedKey{format: format, gzip: gzip}, m)
		t.byPattern[key] = f
		f.mu.Lock()
		starts, at := pubsub.StartsOf(filter, pubsub.From{}), make([]pubsub.Cursor, len(logs))
		for i, log := range logs {
			s := &m.sources[i]
			*s = source{feed: f, index: i, channel: log}
			s.next, at[i] = log.Watch(&s.watch, s)
		}
		m.cursors = pubsub.NewCursorSetOf(starts, at)
		f.mu.Unlock()
	}
	f.users++
	return f, made
}

// joinPattern gives q its position in the feed of its only pattern; false if items have
// come since next, its positions in the tails of the logs.
func (t *feedTable) joinPattern(q *parked, filter *pubsub.Filter, logs []*pubsub.Channel, next []uint64) bool {
	f := t.acquirePattern(filter, q.format, q.gzip, logs)
	m := f.merge()
	shard, offset, ok := f.joinAt(q.writer, func() bool {
		for i := range m.sources {
			if m.sources[i].next != next[i] {
				return false
			}
		}
		return true
	})
	if !ok {
		t.release(f)
		return false
	}
	q.single[0] = position{shard: shard, next: offset}
	q.positions = q.single[:]
	return true
}

// end removes the sources of a feed without streams.
func (m *merge) end() {
	for i := range m.sources {
		s := &m.sources[i]
		s.channel.Unwatch(&s.watch)
		s.channel.Release()
	}
}

// countPatterns adds n to the numbers of subscribers of q's patterns. Those of a feed of a
// pattern are counted with it.
func (p *parked) countPatterns(n int) {
	if p.unshared == nil {
		return
	}
	for i, f := range p.unshared.filters {
		if f != nil && (i == 0 || p.unshared.filters[i-1] != f) {
			p.positions[i].channel().Hub().CountPattern(f.Pattern, n)
		}
	}
}
