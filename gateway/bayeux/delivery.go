package bayeux

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"comet/gateway/conn"
	"comet/gateway/wire"
	"comet/pubsub"
)

// maxEvents is the most events in one answer; the next one has the rest.
const maxEvents = 1000

// answerTimeout bounds how long an answer takes to make while Redis is away.
const answerTimeout = 10 * time.Second

// Errors that end a connect without events.
var (
	errReplaced = errors.New("the session has another connect")
	errGone     = errors.New("the session has ended")
)

// isOver reports whether err is one of them.
func isOver(err error) bool { return errors.Is(err, errReplaced) || errors.Is(err, errGone) }

var _ conn.Answerer = (*connect)(nil)

// Transport implements conn.Answerer.
func (c *connect) Transport() conn.Transport { return conn.OverBayeux }

// Answer implements conn.Answerer.
func (c *connect) Answer(items []pubsub.Delivery, reason conn.CloseReason, reply func([]byte, *conn.Poll)) {
	if !c.server.start(func(ctx context.Context) { reply(c.answer(ctx, items, reason)) }) {
		reply(nil, nil)
	}
}

// answer makes the body of the answer or, if the session has other channels now and
// nothing has come, what to wait for.
func (c *connect) answer(ctx context.Context, items []pubsub.Delivery, reason conn.CloseReason) (body []byte, again *conn.Poll) {
	var err error
	if len(items) == 0 && (reason == conn.Answered || reason == conn.Slow) {
		if again, items, err = c.waitAgain(ctx, reason); again != nil {
			return nil, again
		}
	}
	c.finish()
	var events []byte
	switch {
	case err == nil && len(items) > 0:
		events, err = c.deliver(ctx, items)
	case err == nil:
		c.advance(ctx)
	}
	if err != nil {
		c.server.forget(c)
	}
	if err != nil && !isOver(err) {
		c.server.options.Logger.Debug("bayeux answer was not stored; closing the connection", "error", err)
		return nil, nil // it is not known whether the events count as sent: the client must see that it got none
	}
	return c.request.wrap(append(c.server.appendReply([]byte{'['}, c.reply(reason, events, err)), ']')), nil
}

// reply returns the reply to the connect. err may be errReplaced or errGone.
func (c *connect) reply(reason conn.CloseReason, events []byte, err error) *reply {
	r := &reply{channel: metaConnect, id: c.id, clientID: c.clientID, ack: -1, events: events, advice: &advice{reconnect: "retry"}}
	switch {
	case !c.state.acks:
	case c.sent != 0:
		r.ack = c.sent
	default: // as the client has it, for this node's version of the session may be old
		r.ack = c.ack
	}
	switch {
	case errors.Is(err, errGone):
		r.advice = &advice{reconnect: "none", bare: true}
	case errors.Is(err, errReplaced): // two clients that end each other's connects must not do so all the time
		r.advice.interval = minRetry
	case reason == conn.Shutdown: // clients should not come back together, nor before the proxy knows
		r.advice.interval = drainRetry/2 + rand.N(drainRetry)
	case reason == conn.Revoked:
		r.err = &fault{code: 401, text: "the token was revoked", advice: &advice{reconnect: "none", bare: true}}
	case reason == conn.TokenExpired:
		r.err = &fault{code: 401, text: "the token has expired", advice: &advice{reconnect: "handshake"}}
	}
	return r
}

// drainRetry is about how long a client waits whose node shuts down.
const drainRetry = time.Second

// waitAgain is called when nothing has come. It looks at the session, if that was changed,
// and returns what to wait for now, or what has come already. Without both the connect is
// over. err is errReplaced or errGone.
func (c *connect) waitAgain(ctx context.Context, reason conn.CloseReason) (again *conn.Poll, items []pubsub.Delivery, err error) {
	woken, interrupt := c.look()
	if !woken && reason == conn.Answered || time.Until(c.until) <= 0 {
		return nil, nil, nil
	}
	c.session.mu.Lock()
	err = c.reload(ctx)
	c.session.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	c.caller.Fast = false
	a, err := c.admit()
	if err != nil {
		return nil, nil, nil // the next connect reports it
	}
	defer a.Close()
	items, err = a.Subscriber.Poll(ctx, maxEvents, 0)
	if err != nil || len(items) > 0 {
		return nil, items, nil
	}
	a.Begin()
	return c.poll(a, interrupt), nil, nil
}

// reload loads the session again, which must be locked. The error is errReplaced, errGone or
// the store's.
func (c *connect) reload(ctx context.Context) error {
	st, err := c.server.load(ctx, c.clientID)
	if _, gone := err.(*fault); gone {
		return errGone
	}
	switch {
	case err != nil:
		return err
	case st.connect != c.name:
		return errReplaced
	}
	c.session.stored = st
	c.state = c.effective()
	return nil
}

// deliver stores that items are sent, and returns them as events, without those of
// channels that the client has left. The error is errReplaced or errGone if the session
// does not take them from this connect; after any other it is not known.
func (c *connect) deliver(ctx context.Context, items []pubsub.Delivery) (events []byte, err error) {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	for range conflicts {
		if c.session.stored.connect != c.name {
			return nil, errReplaced
		}
		next := c.effective()
		var moved bool
		if events, moved = c.take(next, items); !moved {
			return nil, nil
		}
		next.batch++
		next.answered = string(c.id)
		err = c.server.store(ctx, c.clientID, c.session.stored, next)
		if err == nil {
			c.session.stored, c.session.kept, c.state, c.sent = next, time.Now(), next, next.batch
			return events, nil
		}
		if err = c.reloadPatiently(ctx, err); err != nil {
			return nil, err
		}
		if c.session.stored.batch == next.batch { // it was stored, though the answer was lost
			c.state, c.sent = c.session.stored, next.batch
			return events, nil
		}
	}
	return nil, err
}

// reloadPatiently is reload after a store that failed with an error. It tries again until
// ctx ends.
func (c *connect) reloadPatiently(ctx context.Context, err error) error {
	pause := storeRetry
	if errors.Is(err, pubsub.ErrRecordChanged) {
		pause = 0
	}
	for {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
		if err = c.reload(ctx); err == nil || isOver(err) {
			return err
		}
		pause = storeRetry
	}
}

const storeRetry = 100 * time.Millisecond

// take moves the session's cursors past items, and returns them as events. moved is false
// if no cursor has moved.
func (c *connect) take(st *state, items []pubsub.Delivery) (events []byte, moved bool) {
	for i, at := range c.places { // past messages that were not for it, before items
		if u := st.find(at.channel); u != nil && pubsub.IsPattern(at.channel) {
			u.moveTo(at.log, c.cursors.Cursor(i))
		}
	}
	for i := range items {
		it := &items[i]
		at := c.places[it.Channel]
		u := st.find(at.channel)
		if u == nil {
			continue
		}
		u.moveTo(at.log, it.After)
		if events = c.server.appendEvent(events, u.channel, &it.Item); len(events) > 0 && events[len(events)-1] == '}' {
			events = append(events, ',')
		}
	}
	return bytes.TrimSuffix(events, []byte(",")), st.pending()
}

// keepEvery is how often a session is stored at least while its connects are answered
// without events. Its record is kept for longer than twice a connect.
const keepEvery = time.Second

// moveTo moves the cursor of a log to which messages are sent.
func (u *subscription) moveTo(log int, at pubsub.Cursor) {
	if !u.pending() {
		u.sent = slices.Clone(u.acked)
	}
	u.sent[log] = at
}

// advance stores how far the connect has come in the logs of patterns without a message for
// it, so that the session does not fall behind the logs. It also keeps a session that was
// not stored lately.
func (c *connect) advance(ctx context.Context) {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	if c.session.stored.connect != c.name {
		return
	}
	next, moved := c.effective(), time.Since(c.session.kept) > keepEvery
	for i := range next.channels {
		if pubsub.IsPattern(next.channels[i].channel) {
			next.channels[i].acked = slices.Clone(next.channels[i].acked)
		}
	}
	for i, at := range c.places {
		cursor := c.cursors.Cursor(i)
		u := next.find(at.channel)
		if u != nil && pubsub.IsPattern(at.channel) && u.acked[at.log] != cursor {
			u.acked[at.log], moved = cursor, true
		}
	}
	if !moved {
		return
	}
	if err := c.server.store(ctx, c.clientID, c.session.stored, next); err == nil {
		c.session.stored, c.session.kept, c.state = next, time.Now(), next
	}
}

// appendEvent appends an item as a message: an event, or a gap, which has no data and is
// therefore ignored by clients that do not know it. It appends nothing for a message that
// a client would take for one of the protocol.
func (s *Server) appendEvent(b []byte, channel string, it *pubsub.Item) []byte {
	switch {
	case it.Gap != nil:
		b = appendString(append(b, `{"channel":`...), s.nameOf(channel))
		b = wire.AppendGapJSON(append(b, `,"ext":{"comet":{"gap":`...), it.Gap)
		return append(b, `}}}`...)
	case it.Message == nil:
		return b
	}
	m := it.Message
	name := s.nameOf(m.Channel)
	if isMeta(name) || isService(name) {
		return b
	}
	b = appendString(append(b, `{"channel":`...), name)
	b = append(append(b, `,"data":`...), m.Data...)
	return append(appendExt(b, m), '}')
}

// appendExt appends what a message has that Bayeux has no field for, as ext.comet.
func appendExt(b []byte, m *pubsub.Message) []byte {
	if m.Type == pubsub.DefaultType && m.From == "" && m.Tags.IsZero() {
		return b
	}
	b = append(b, `,"ext":{"comet":{`...)
	if m.Type != pubsub.DefaultType {
		b = append(appendString(append(b, `"type":`...), m.Type), ',')
	}
	if m.From != "" {
		b = append(appendString(append(b, `"from":`...), m.From), ',')
	}
	if !m.Tags.IsZero() {
		b = append(m.Tags.AppendJSON(append(b, `"tags":`...)), ',')
	}
	return append(b[:len(b)-1], `}}`...)
}

// Written implements conn.Answerer. The record says what was sent before it is written, so
// that the next connect, which may be at another node, does not get it again. A client that
// acknowledges batches says itself what it has.
func (c *connect) Written(ok bool) {
	if c.sent != 0 && !(ok && c.state.acks) {
		c.server.start(func(ctx context.Context) { c.confirm(ctx, ok) })
	}
}

// confirm stores whether the last batch was written, unless that has been settled.
func (c *connect) confirm(ctx context.Context, written bool) {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	stored, err := c.server.change(ctx, c.clientID, c.session.stored, func(next *state) error {
		switch {
		case next.batch != c.sent || !next.pending():
			return errSettled
		case written:
			next.written = c.sent
		default:
			next.lost = c.sent
		}
		return nil
	})
	switch {
	case err == nil:
		c.session.stored = stored
	case !errors.Is(err, errSettled):
		c.server.options.Logger.Debug("bayeux delivery was not confirmed", "error", err)
	}
}

var errSettled = errors.New("the batch is settled")
