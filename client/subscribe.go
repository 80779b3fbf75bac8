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
	// Channels are one or more channels or patterns, as in orders/**. A cursor is valid
	// for exactly this set, in any order.
	Channels []string
	// Cursor is where to resume: the Cursor of an event, or Earliest. Empty
	// subscribes to new messages only.
	Cursor string
	// Last asks for the newest N messages first. It excludes Cursor.
	Last int
	// SkipSelf leaves out the messages of the client itself, by their From. The client
	// needs a token or an API key.
	SkipSelf bool
	// Poll uses long-polls instead of a stream.
	Poll bool
	// Wait is how long the server holds a poll; 0 is 25 s.
	Wait time.Duration
	// Idle is the longest silence, without even a heartbeat, before the
	// connection counts as dead; 0 is 60 s. With Poll it is added to Wait. The
	// server's default heartbeat is 25 s.
	Idle time.Duration
}

// Earliest is the cursor before the oldest message in the log.
const Earliest = "earliest"

const (
	defaultWait = 25 * time.Second
	defaultIdle = time.Minute
)

// Subscribe yields the events of the channels, in the caller's goroutine, for as
// long as the caller ranges over it:
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
// After a failure it reconnects, to the next node, with the cursor of the last
// event that the loop body received: the loop body gets each message once, in
// order. wire.KindReady reports a new connection. With Poll its Node is empty,
// and only the last event of a poll moves the Cursor.
//
// The only error comes last. It is the cause of ctx's end, or an error that a
// retry cannot fix: a *ProblemError of 4xx (except 408, 429, and those with a
// RetryAfter), a *pubsub.InvalidError, or wire.ErrMalformed. Each range over the
// iterator is a new subscription.
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
	cursor string        // of the last event yielded
	wait   backoff       // between connections
	asked  time.Duration // the pause before the next connection that the server asked for
}

// Why a connection ended, besides failures.
var (
	errStopped = errors.New("the caller ended the loop")
	errEnded   = errors.New("the server ended the subscription")
	errIdle    = errors.New("received nothing for too long")
)

// run connects again and again, until the caller ends the loop (errStopped), ctx
// ends, or a retry cannot help.
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
		s.client.logger.WarnContext(ctx, "subscription interrupted; reconnecting",
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
		if pubsub.IsPattern(channel) {
			continue // the node says whether it is one
		}
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

// query returns the parameters for the channels and the start.
func (s *subscription) query() url.Values {
	query := url.Values{"channel": s.o.Channels}
	if s.cursor != "" {
		query.Set("cursor", s.cursor)
	} else if s.o.Last > 0 {
		query.Set("last", strconv.Itoa(s.o.Last))
	}
	if s.o.SkipSelf {
		query.Set("skip_self", "true")
	}
	return query
}

// deliver yields e. The cursor moves only after the caller has received e.
func (s *subscription) deliver(e wire.Event) error {
	if !s.yield(e) {
		return errStopped
	}
	s.cursor = e.Cursor
	return nil
}
