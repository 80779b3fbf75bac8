package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// read hands what arrives to the sink until the link fails. A link that has
// been silent for Options.Timeout is asked for a sign of life.
func (l *link) read(ctx context.Context) error {
	select {
	case <-l.probe.subscribed: // before that there is no connection to read from
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	asked := false
	for {
		received, err := l.pubsub.ReceiveTimeout(ended, l.broker.options.Timeout)
		var timeout net.Error
		kind, _ := redirected(err)
		switch {
		case err == nil:
			asked = false
			if err := l.take(ctx, received); err != nil {
				return err
			}
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &timeout) && timeout.Timeout() && !asked:
			asked = true
			if err := l.pubsub.Ping(ended); err != nil {
				return fmt.Errorf("ping: %w", err)
			}
		case kind == moved:
			l.takeMoved(ctx, err)
		case asked:
			return fmt.Errorf("%w for %v: %w", errSilent, l.broker.options.Timeout, err)
		default:
			return fmt.Errorf("receive: %w", err)
		}
	}
}

func (l *link) take(ctx context.Context, received any) error {
	switch r := received.(type) {
	case *redis.Subscription:
		if r.Channel == l.probe.channel {
			return l.takeProbeSubscription(r.Kind)
		}
		if channel, ok := l.broker.keys.channel(r.Channel); ok && l.takeSubscription(channel, r.Kind) {
			l.giveBack(ctx, channel)
		}
	case *redis.Message:
		if r.Channel == l.probe.channel {
			l.probe.heard(r.Payload)
		} else if channel, ok := l.broker.keys.channel(r.Channel); ok {
			l.takeMessage(channel, r.Payload)
		}
	}
	return nil
}

func (l *link) takeProbeSubscription(kind string) error {
	if kind == "sunsubscribe" {
		return errGone
	}
	l.probe.confirm()
	return nil
}

// takeSubscription tells the sink of a confirmation. taken says that the server
// took the channel away: its slot has left the primary.
func (l *link) takeSubscription(channel, kind string) (taken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	confirmed, wanted := l.carried[channel]
	if kind == "sunsubscribe" || kind == "unsubscribe" {
		if confirmed { // else it is the answer to an UNSUBSCRIBE of before
			delete(l.carried, channel)
		}
		return confirmed
	}
	// An earlier confirmation may be of a SUBSCRIBE that was taken back since.
	if l.unheard[channel]--; l.unheard[channel] > 0 {
		return false
	}
	delete(l.unheard, channel)
	if wanted {
		l.carried[channel] = true
		l.sink.Subscribed(channel)
	}
	return false
}

// takeMoved gives back what was to be subscribed in a slot that is not the
// primary's. That may also be the answer to an UNSUBSCRIBE, which then was not
// needed.
func (l *link) takeMoved(ctx context.Context, err error) {
	slot := strings.Fields(err.Error())[1]
	var taken []string
	l.mu.Lock()
	for channel := range l.unheard {
		if strconv.Itoa(slotOf(channel)) == slot {
			delete(l.unheard, channel)
			if _, wanted := l.carried[channel]; wanted {
				delete(l.carried, channel)
				taken = append(taken, channel)
			}
		}
	}
	l.mu.Unlock()
	l.giveBack(ctx, taken...)
}

// giveBack gives channels that the link no longer has to the relay.
func (l *link) giveBack(ctx context.Context, channels ...string) {
	for _, channel := range channels {
		select {
		case l.taken <- channel:
		case <-ctx.Done():
		}
	}
}

// maxAhead is how much later than this node's clock a relayed message may be that
// is taken at its word. Were one taken that the log does not have, all that is
// earlier would pass for old.
const maxAhead = time.Minute

// takeMessage hands a message to the sink, if the link still carries its
// channel.
func (l *link) takeMessage(channel, payload string) {
	m, err := decodeRelayed(channel, payload)
	if err != nil {
		l.broker.foreign.found(InRelay, channel, err)
		return
	}
	if time.Until(m.ID.Time()) > maxAhead {
		m.Data = nil // then it is only announced, and the log has to say so too
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, wanted := l.carried[channel]; wanted {
		l.sink.Received(m)
	}
}
