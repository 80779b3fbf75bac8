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
	Cursor   *Cursor // behind this
	Earliest bool    // with the oldest message kept
	Last     int     // with the newest so many messages, at most MaxPage
}

// Start is a channel to subscribe to and where to begin.
type Start struct {
	Channel string
	From    From
}

// ErrSlow ends a subscriber that was so slow that its place left the tail. It
// can go on from its cursor with a new subscription, out of the log.
var ErrSlow = errors.New("subscriber is too slow: its place has left the tail")

// Delivery is an item of the subscriber's channel with the index Channel.
type Delivery struct {
	Channel int
	Item
}

// Subscriber is a place in each of its channels' tails, and nothing more: it
// has no queue. It is for one goroutine at a time.
type Subscriber struct {
	hub      *Hub
	places   []*place
	observes bool          // see Observe
	woken    chan struct{} // holds a token if a tail has grown since it was last looked at
	turn     int           // the place to look at first, so that a busy channel does not starve others
	retry    *backoff
}

// Subscribe opens the channels, which must be distinct, and returns a
// subscriber that must be closed. The errors are *InvalidError,
// ErrUnavailable, ErrClosed, or ctx's cause.
func (h *Hub) Subscribe(ctx context.Context, starts []Start) (*Subscriber, error) {
	return h.subscribe(ctx, starts, &Subscriber{})
}

// Observe is Subscribe for who only looks: neither Busiest nor Stats counts it,
// but for what it reads.
func (h *Hub) Observe(ctx context.Context, starts []Start) (*Subscriber, error) {
	return h.subscribe(ctx, starts, &Subscriber{observes: true})
}

func (h *Hub) subscribe(ctx context.Context, starts []Start, s *Subscriber) (*Subscriber, error) {
	for _, s := range starts {
		if err := ValidateChannel(s.Channel); err != nil {
			return nil, err
		}
	}
	s.hub, s.woken, s.retry = h, make(chan struct{}, 1), newBackoff()
	for _, start := range starts {
		p := &place{tail: h.acquire(start.Channel), replay: follower{channel: start.Channel}}
		if s.places = append(s.places, p); s.observes {
			p.tail.observe(1)
		}
	}
	for i, start := range starts {
		if err := s.enter(ctx, s.places[i], start.From); err != nil {
			s.Close()
			return nil, fmt.Errorf("subscribe %q: %w", start.Channel, err)
		}
	}
	for i, start := range starts {
		if !s.observes {
			s.hub.resumed(start.From, s.places[i].joined)
		}
	}
	return s, nil
}

// enter waits for the tail to open and finds the first place.
func (s *Subscriber) enter(ctx context.Context, p *place, from From) (err error) {
	if err := s.hub.await(ctx, p.tail); err != nil {
		return err
	}
	p.tail.Watch(&p.watch, s)
	p.tail.mu.Lock()
	switch {
	case from == From{}:
		p.next, p.start = p.tail.end()
		p.joined = true
	case from.Cursor != nil:
		p.next, p.start, p.joined = p.tail.locate(*from.Cursor)
		p.replay.at = p.start
	}
	p.tail.mu.Unlock()
	switch {
	case from.Earliest:
		err = s.begin(ctx, p, Query{Limit: replayPage})
	case from.Last > 0:
		err = s.begin(ctx, p, Query{Backward: true, Limit: min(from.Last, MaxPage)})
	}
	return err
}

// begin starts a replay with the page that q asks for.
func (s *Subscriber) begin(ctx context.Context, p *place, q Query) error {
	q.Channel = p.replay.channel
	page, err := s.hub.read(ctx, q, ForReplay)
	if err != nil {
		return err
	}
	if q.Backward {
		slices.Reverse(page.Messages)
	}
	p.start = page.end()
	if len(page.Messages) > 0 {
		p.start = before(page.Messages[0])
		if page.Messages[0].IsUnreadable() {
			p.start.Gen = page.Gen
		}
	}
	p.replay.at = p.start
	p.held, _ = p.replay.take(&page, false)
	s.told(p.held)
	return nil
}

// Start is where the subscriber begins, a cursor a channel.
func (s *Subscriber) Start() []Cursor {
	at := make([]Cursor, len(s.places))
	for i, p := range s.places {
		at[i] = p.start
	}
	return at
}

// Channels is how many channels the subscriber has.
func (s *Subscriber) Channels() int { return len(s.places) }

// Place is where the subscriber is in the tail of its i-th channel; ok is false
// while it still replays the log; what has reached its end joins here, not only
// when there is something more. The channel stays the subscriber's: Share it
// to keep it.
func (s *Subscriber) Place(i int) (c *Channel, next uint64, ok bool) {
	p := s.places[i]
	if len(p.held) == 0 {
		p.tail.mu.Lock()
		p.join()
		p.tail.mu.Unlock()
	}
	return p.tail, p.next, p.joined && len(p.held) == 0
}

// replayPage is how many messages are read at a time for one subscriber.
const replayPage = 64

// Next returns the next items, at least one and about limit at most; it blocks
// until there are some. Items of one channel are in order. Trouble with the
// broker only makes it wait. The errors are ErrSlow, ErrClosed and ctx's cause.
func (s *Subscriber) Next(ctx context.Context, limit int) ([]Delivery, error) {
	for {
		var out []Delivery
		var wait time.Duration // 0: until woken
		for range s.places {
			i := s.turn
			s.turn = (s.turn + 1) % len(s.places)
			items, again, err := s.advance(ctx, s.places[i], limit-len(out))
			if err != nil {
				return nil, err
			}
			wait = max(wait, again)
			for _, it := range items {
				if !it.silent() {
					out = append(out, Delivery{Channel: i, Item: it})
				}
			}
			if len(out) >= limit {
				break
			}
		}
		if len(out) > 0 {
			return out, nil
		}
		if err := s.wait(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// advance returns what comes next at p without waiting for it, or how long to
// wait at most before trying again.
func (s *Subscriber) advance(ctx context.Context, p *place, limit int) (items []Item, again time.Duration, err error) {
	for len(p.held) == 0 {
		if items, ok, err := p.live(limit); ok {
			return items, 0, err
		}
		done, err := s.replay(ctx, p)
		switch {
		case errors.Is(err, ErrClosed):
			return nil, 0, ErrClosed
		case err != nil:
			return nil, s.retry.step(), nil
		case done && len(p.held) == 0:
			// At the end of the log and yet not in the tail: the tail is
			// behind and will grow, or has to look at the log.
			s.hub.syncer.refresh(p.tail, BySubscriber)
			return nil, s.retry.step(), nil
		}
	}
	s.retry.reset()
	items = p.held[:min(limit, len(p.held))]
	p.held = p.held[len(items):]
	return items, 0, nil
}

// told counts what the subscriber finds in the log.
func (s *Subscriber) told(items []Item) {
	if !s.observes {
		s.hub.counts.told(items)
	}
}

// replay reads the next part of the log into p.held; done says that this was
// the end of the log.
func (s *Subscriber) replay(ctx context.Context, p *place) (done bool, err error) {
	// Not bounded by ctx, which may be a wait of no time: what the log has is
	// there already. Options.Timeout bounds it.
	page, err := s.hub.read(context.WithoutCancel(ctx), p.replay.query(replayPage), ForReplay)
	if err != nil {
		return false, err
	}
	p.held, done = p.replay.take(&page, false)
	s.told(p.held)
	return done, nil
}

// wait waits until a tail has grown, for at most d if d is not 0.
func (s *Subscriber) wait(ctx context.Context, d time.Duration) error {
	var timeout <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-s.woken:
	case <-timeout:
	case <-s.hub.stopped:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
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
	for _, p := range s.places {
		s.leave(p)
	}
	s.places = nil
}

func (s *Subscriber) leave(p *place) {
	p.tail.Unwatch(&p.watch)
	if s.observes {
		p.tail.observe(-1)
	}
	p.tail.Release()
}
