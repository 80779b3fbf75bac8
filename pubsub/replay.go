package pubsub

import (
	"context"
	"errors"
	"slices"
	"time"
)

// replayBytes bounds the data that is read at a time for one subscriber, and that
// Next returns: a client that does not read pins about as much.
const replayBytes = PageBytes / 2

// replayMessages is how many messages of one channel are read at a time for one
// subscriber.
const replayMessages = 64

// unread is the places whose log must be read before the subscription can begin,
// as many as are read at a time.
func (s *Subscriber) unread() []int {
	return s.placesThat(func(p *subscription) bool { return p.unread })
}

// due is the places whose log must be read now for what comes next, as many as
// are read at a time; failing ones or others. While messages are held there are
// none, which bounds what a subscriber holds.
func (s *Subscriber) due(now time.Time, failing bool) []int {
	if slices.ContainsFunc(s.places, func(p *subscription) bool { return len(p.held) > 0 }) {
		return nil
	}
	return s.placesThat(func(p *subscription) bool { return (p.retry != nil) == failing && p.due(now) })
}

// readDue reads what is due. The error is ErrClosed; any other is retried.
func (s *Subscriber) readDue(ctx context.Context, failing bool) error {
	due := s.due(time.Now(), failing)
	if len(due) == 0 {
		return nil
	}
	if _, err := s.readLogs(ctx, due); errors.Is(err, ErrClosed) {
		return ErrClosed
	}
	return nil
}

// hasMore reports whether there is more without waiting: messages are held, the
// tail has some (of those before, none was for the subscriber), or a log is due
// that did not fail before.
func (s *Subscriber) hasMore() bool {
	now := time.Now()
	return slices.ContainsFunc(s.places, func(p *subscription) bool {
		return len(p.held) > 0 || p.isBehind() || p.retry == nil && p.due(now)
	})
}

func (s *Subscriber) placesThat(are func(*subscription) bool) (places []int) {
	for n := range s.places {
		if i := (s.turn + n) % len(s.places); are(s.places[i]) {
			places = append(places, i)
		}
		if len(places) == s.pace.channels {
			break
		}
	}
	return places
}

// readLogs reads once for places, in one round trip. at is the channel that an
// error is about; the others' pages were taken.
func (s *Subscriber) readLogs(ctx context.Context, places []int) (at int, err error) {
	queries := make([]Query, len(places))
	for n, i := range places {
		queries[n] = s.places[i].query(s.pace.messages)
		queries[n].Bytes = replayBytes / len(places)
	}
	pages := s.hub.readLogs(ctx, queries, ForReplay)
	held := 0
	for n, i := range places {
		p, page := s.places[i], &pages[n]
		if page.Err != nil {
			at, err = i, page.Err
			p.failed(err)
			continue
		}
		done := p.addPage(page, held == 0 || held+page.Size() <= replayBytes)
		held += size(p.held)
		s.countGaps(p.held)
		if done && len(p.held) == 0 && p.mustRead() {
			// At the end of the log and yet not in the tail: that will grow, or has to look
			// at the log.
			s.hub.syncer.refresh(p.tail, BySubscriber)
			p.later()
		} else {
			p.retry, p.rest = nil, time.Time{}
		}
	}
	if err != nil {
		s.pace.failed()
	} else {
		s.pace.succeeded(pages)
	}
	return at, err
}

// countGaps counts what the subscriber finds in the log.
func (s *Subscriber) countGaps(items []Item) {
	if !s.observes {
		s.hub.counts.addGaps(items)
	}
}

func size(items []Item) (n int) {
	for i := range items {
		n += items[i].dataSize()
	}
	return n
}
