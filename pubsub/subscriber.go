package pubsub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// From says where a subscription begins. At most one field is set; none: with
// the next message.
type From struct {
	Cursor   *Cursor // after this
	Earliest bool    // with the oldest message kept
	// Last: with the newest Last messages, at most MaxPage. There are fewer where they
	// have more than 4 MiB of data, in all channels of the subscription together. Of a
	// pattern these are the newest of all its channels together, and other channels of the
	// index count as data.
	Last int
}

// Start is a channel to subscribe to and where to begin.
type Start struct {
	Channel string
	From    From
	// Filter selects messages, if Channel is an index log; nil: all. A pattern has a Start
	// for each of Pattern.Logs.
	Filter *Filter
}

// StartsOf returns the starts of a pattern, all at from. Except in From.Cursor, which is
// of one log, from means each index log.
func StartsOf(f *Filter, from From) []Start {
	starts := make([]Start, len(f.Pattern.Logs))
	for i, log := range f.Pattern.Logs {
		starts[i] = Start{Channel: log, From: from, Filter: f}
	}
	return starts
}

// ErrSlow ends a subscriber that was so slow that its place left the tail. It
// can go on from its cursor with a new subscription, out of the log.
var ErrSlow = errors.New("subscriber is too slow: its place has left the tail")

// Delivery is an item of the subscriber's channel with the index Channel.
type Delivery struct {
	Channel int
	Item
}

// Subscriber is a place in each of its channels' tails: it has no queue. One
// that replays the log holds about replayBytes of it. It is for one goroutine at a
// time.
type Subscriber struct {
	hub      *Hub
	places   []*subscription
	observes bool          // see SubscribeUncounted
	silent   bool          // see IncludeSilent
	woken    chan struct{} // holds a token if a tail has grown since it was last looked at
	turn     int           // the place to look at first, so that a busy channel does not starve others
	pace     pace          // of reading the log
}

// Subscribe opens the channels, which must be distinct, and returns a
// subscriber that must be closed. Where a channel's tail does not have its
// place, the first part of the log has been read when it returns. The errors are
// *InvalidError, ErrUnavailable (ErrUnconfirmed too), ErrUnreadable, ErrClosed, or ctx's cause.
func (h *Hub) Subscribe(ctx context.Context, starts []Start) (*Subscriber, error) {
	return h.subscribe(ctx, starts, &Subscriber{})
}

// SubscribeUncounted subscribes without being counted as a subscriber by Busiest
// and Stats, for operators. Its reads are counted.
func (h *Hub) SubscribeUncounted(ctx context.Context, starts []Start) (*Subscriber, error) {
	return h.subscribe(ctx, starts, &Subscriber{observes: true})
}

func (h *Hub) subscribe(ctx context.Context, starts []Start, s *Subscriber) (*Subscriber, error) {
	for _, s := range starts {
		if err := validateLog(s.Channel); err != nil {
			return nil, err
		}
	}
	s.hub, s.woken, s.pace = h, make(chan struct{}, 1), newPace(len(starts), replayMessages)
	for _, start := range starts {
		p := &subscription{tail: h.acquire(start.Channel), replay: logReader{channel: start.Channel}, filter: start.Filter}
		if s.places = append(s.places, p); s.observes {
			p.tail.observe(1)
		}
	}
	s.countPatterns(1)
	if at, err := s.begin(ctx, starts); err != nil {
		s.Close()
		return nil, fmt.Errorf("subscribe %q: %w", starts[at].Channel, err)
	}
	for i, start := range starts {
		if !s.observes {
			s.hub.resumed(start.From, s.places[i].joined)
		}
	}
	return s, nil
}

// begin waits for the tails to open and finds where the subscriber begins. at
// is the channel that an error is about.
func (s *Subscriber) begin(ctx context.Context, starts []Start) (at int, err error) {
	if at, err = s.hub.await(ctx, s.places); err != nil {
		return at, err
	}
	for i, p := range s.places {
		if err := s.attach(p, starts[i].From); err != nil {
			return i, err
		}
	}
	for unread := s.unread(); len(unread) > 0; unread = s.unread() {
		if at, err = s.readLogs(ctx, unread); err != nil {
			return at, err
		}
	}
	s.trimLast(starts)
	return 0, nil
}

// attach watches the tail, which is open, and finds the first place if the tail
// has it. If not, the place is unread.
func (s *Subscriber) attach(p *subscription, from From) error {
	p.tail.Watch(&p.watch, s)
	p.tail.mu.Lock()
	defer p.tail.mu.Unlock()
	switch {
	case p.tail.noLog:
		return ErrUnreadable
	case p.tail.isUnconfirmed():
		return ErrUnconfirmed
	case from == From{}:
		p.next, p.start = p.tail.end()
		p.joined = true
	case from.Cursor != nil:
		p.next, p.start, p.joined = p.tail.locate(*from.Cursor)
		p.replay.at = p.start
		p.unread = !p.joined
	default:
		p.search, p.unread = newStartSearch(from, len(s.places), p.filter), true
	}
	return nil
}

// StartCursors is where the subscriber begins, a cursor per channel.
func (s *Subscriber) StartCursors() []Cursor {
	at := make([]Cursor, len(s.places))
	for i, p := range s.places {
		at[i] = p.start
	}
	return at
}

// Position is where the subscriber is in its i-th log: after what Next has returned, and
// after items that a Filter left out.
func (s *Subscriber) Position(i int) Cursor {
	if p := s.places[i]; p.moved {
		return p.last
	}
	return s.places[i].start
}

// Truncated reports whether From.Last found fewer messages than it should and there are,
// because of their size.
func (s *Subscriber) Truncated() bool {
	return slices.ContainsFunc(s.places, func(p *subscription) bool { return p.cut })
}

// OnePattern returns the filter of a subscriber of one pattern and nothing else; nil for
// others.
func (s *Subscriber) OnePattern() *Filter {
	if len(s.places) == 0 {
		return nil
	}
	f := s.places[0].filter
	if f == nil || slices.ContainsFunc(s.places, func(p *subscription) bool { return p.filter != f }) {
		return nil
	}
	return f
}

// Filter returns the filter of the i-th channel, or nil.
func (s *Subscriber) Filter(i int) *Filter { return s.places[i].filter }

// Channels is how many channels the subscriber has.
func (s *Subscriber) Channels() int { return len(s.places) }

// TailOffset is where the subscriber is in the tail of its i-th channel; ok is false
// while it still replays the log; what has reached its end joins here, not only
// when there is something more. The channel stays the subscriber's: Retain it
// to keep it.
func (s *Subscriber) TailOffset(i int) (c *Channel, next uint64, ok bool) {
	p := s.places[i]
	if len(p.held) == 0 {
		p.tail.mu.Lock()
		p.join()
		p.tail.mu.Unlock()
	}
	return p.tail, p.next, p.joined && len(p.held) == 0
}

// Next returns the next items, at least one, about limit and about replayBytes of
// data at most; it blocks until there are some. Items of one channel are in
// order. Trouble with the broker only makes it wait. The errors are ErrSlow,
// ErrClosed and ctx's cause.
func (s *Subscriber) Next(ctx context.Context, limit int) ([]Delivery, error) {
	return s.next(ctx, limit, time.Time{})
}

// Poll is Next, but for waiting: if nothing has come after wait, it returns no
// items. Reading the log is no waiting: also without any, it returns what the
// log has.
func (s *Subscriber) Poll(ctx context.Context, limit int, wait time.Duration) ([]Delivery, error) {
	return s.next(ctx, limit, time.Now().Add(wait))
}

// next is Poll until a time, or without end.
func (s *Subscriber) next(ctx context.Context, limit int, until time.Time) ([]Delivery, error) {
	for {
		if err := s.readDue(ctx, false); err != nil {
			return nil, err
		}
		out, err := s.collect(limit)
		if err != nil || len(out) > 0 {
			return out, err
		}
		// A log that could not be read may take its time again: the others went first.
		if err := s.readDue(ctx, true); err != nil {
			return nil, err
		}
		if s.hasMore() {
			continue
		}
		if over, err := s.wait(ctx, until); over || err != nil {
			return nil, err
		}
	}
}

// IncludeSilent has Next and Poll also return items that have neither a message nor a gap,
// as those of messages that the Filter leaves out. They move the cursor only.
func (s *Subscriber) IncludeSilent() { s.silent = true }

// collect returns what is there without reading the log.
func (s *Subscriber) collect(limit int) (out []Delivery, err error) {
	bytes := replayBytes
	for range s.places {
		i := s.turn
		s.turn = (s.turn + 1) % len(s.places)
		items, err := s.places[i].takeNext(limit-len(out), bytes)
		if err != nil {
			return nil, err
		}
		for _, it := range items {
			bytes -= it.dataSize()
			if s.silent || !it.silent() {
				out = append(out, Delivery{Channel: i, Item: it})
			}
		}
		if len(out) >= limit || bytes <= 0 {
			break
		}
	}
	return out, nil
}

// wait waits until a tail has grown or the log may be read again. over: it is
// the time until.
func (s *Subscriber) wait(ctx context.Context, until time.Time) (over bool, err error) {
	next := until
	for _, p := range s.places {
		if !p.rest.IsZero() && (next.IsZero() || p.rest.Before(next)) && p.mustRead() {
			next = p.rest
		}
	}
	var timeout <-chan time.Time
	if !next.IsZero() {
		t := time.NewTimer(time.Until(next))
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-s.woken:
	case <-timeout:
		return next == until, nil
	case <-s.hub.ctx.Done():
		return false, ErrClosed
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	return false, nil
}

// Grown implements Watcher.
func (s *Subscriber) Grown([]Item) {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// Close lets go of the channels. It may be called more than once.
func (s *Subscriber) Close() {
	s.countPatterns(-1)
	for _, p := range s.places {
		s.leave(p)
	}
	s.places = nil
}

func (s *Subscriber) leave(p *subscription) {
	p.tail.Unwatch(&p.watch)
	if s.observes {
		p.tail.observe(-1)
	}
	p.tail.Release()
}
