package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// SubscribeOptions of one subscription.
type SubscribeOptions struct {
	// Channels are one or more. What Cursor and an event's Cursor mean belongs
	// to exactly this set, in any order.
	Channels []string
	// Cursor is where to go on: one that an event had, or Earliest. Empty: from
	// now on.
	Cursor string
	// Last asks for the newest N messages first. Not with Cursor.
	Last int
	// Poll uses long-polls instead of a stream.
	Poll bool
	// Wait is how long the server shall hold a poll; 0 is 25 s.
	Wait time.Duration
	// Idle is how long nothing, not even a heartbeat, may come (with Poll,
	// beyond Wait) until the connection counts as dead; 0 is 60 s. The server
	// sends a heartbeat every 25 s unless it is set otherwise.
	Idle time.Duration
}

// Earliest is the cursor before the oldest message that is kept.
const Earliest = "earliest"

const (
	defaultWait = 25 * time.Second
	defaultIdle = time.Minute
)

// Subscribe yields what happens in the channels, in the caller's goroutine,
// for as long as the caller ranges over it:
//
//	for e, err := range c.Subscribe(ctx, o) {
//		if err != nil {
//			return err
//		}
//		switch e.Kind {
//		case wire.KindMessage: // e.Message
//		case wire.KindGap: // messages may be missing: e.Gap
//		}
//	}
//
// A connection that fails is made anew, at the next node, from the cursor of
// the last event that the loop body saw: it sees each message once, in order.
// wire.KindReady tells that a connection was made; with Poll its Node is
// empty, and of a poll's events only the last one moves the Cursor.
//
// The only error comes last: the cause of ctx's end, or what trying again
// cannot mend: a *ProblemError of 4xx (but 408, 429, and those with a
// RetryAfter), a *pubsub.InvalidError, or wire.ErrMalformed. Each range over the iterator is
// a new subscription.
func (c *Client) Subscribe(ctx context.Context, o SubscribeOptions) iter.Seq2[wire.Event, error] {
	return func(yield func(wire.Event, error) bool) {
		s := &subscription{
			client: c,
			o:      o,
			node:   c.current.Load(),
			yield:  func(e wire.Event) bool { return yield(e, nil) },
			cursor: o.Cursor,
			wait:   backoff{first: 250 * time.Millisecond, longest: 15 * time.Second},
		}
		if err := s.run(ctx); err != errStopped {
			yield(wire.Event{}, fmt.Errorf("subscribe: %w", err))
		}
	}
}

// subscription is one range over Subscribe.
type subscription struct {
	client *Client
	o      SubscribeOptions
	yield  func(wire.Event) bool

	node   uint32        // index of the client's urls
	cursor string        // of the last event that was yielded
	wait   backoff       // between connections
	asked  time.Duration // by the server, before the next connection
}

// Why a connection ended, besides failures.
var (
	errStopped = errors.New("the caller left the loop")
	errEnded   = errors.New("the server ended it")
	errIdle    = errors.New("nothing came for too long")
)

// run connects again and again. It returns errStopped, or what to tell the
// caller.
func (s *subscription) run(ctx context.Context) error {
	if err := s.o.prepare(); err != nil {
		return err
	}
	connect := s.stream
	if s.o.Poll {
		connect = s.poll
	}
	for {
		s.asked = 0
		err := connect(ctx)
		switch {
		case err == errStopped:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !temporary(err):
			return err
		}
		pause := s.wait.next(max(s.asked, askedBy(err)))
		s.client.logger.WarnContext(ctx, "subscription interrupted, coming back",
			"node", s.client.url(s.node), "error", err, "wait", pause)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		s.node++
	}
}

// prepare checks the options and fills in the defaults.
func (o *SubscribeOptions) prepare() error {
	if len(o.Channels) == 0 {
		return &pubsub.InvalidError{Field: "channel", Message: "is missing: give at least one"}
	}
	for _, channel := range o.Channels {
		if err := pubsub.ValidateChannel(channel); err != nil {
			return err
		}
	}
	if o.Last > 0 && o.Cursor != "" {
		return &pubsub.InvalidError{Field: "last", Message: "cannot go with a cursor: a cursor says where to begin"}
	}
	if o.Wait == 0 {
		o.Wait = defaultWait
	}
	if o.Idle == 0 {
		o.Idle = defaultIdle
	}
	return nil
}

// query names the channels and where to begin.
func (s *subscription) query() url.Values {
	query := url.Values{"channel": s.o.Channels}
	if s.cursor != "" {
		query.Set("cursor", s.cursor)
	} else if s.o.Last > 0 {
		query.Set("last", strconv.Itoa(s.o.Last))
	}
	return query
}

// deliver yields e. The cursor moves only once the caller has it.
func (s *subscription) deliver(e wire.Event) error {
	if !s.yield(e) {
		return errStopped
	}
	s.cursor = e.Cursor
	return nil
}
