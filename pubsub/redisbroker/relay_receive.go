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

// read passes messages to the sink until the connection fails. It sends PING if nothing
// has come for Options.Timeout.
func (c *pubsubConn) read(ctx context.Context) error {
	select {
	case <-c.probe.subscribed: // before that the connection is not open
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	asked := false
	for {
		received, err := c.pubsub.ReceiveTimeout(ended, c.broker.options.Timeout)
		var timeout net.Error
		kind, _ := redirected(err)
		switch {
		case err == nil:
			asked = false
			if err := c.handle(ctx, received); err != nil {
				return err
			}
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &timeout) && timeout.Timeout() && !asked:
			asked = true
			if err := c.pubsub.Ping(ended); err != nil {
				return fmt.Errorf("ping: %w", err)
			}
		case kind == moved:
			c.handleMoved(ctx, err)
		case asked:
			return fmt.Errorf("%w for %v: %w", errSilent, c.broker.options.Timeout, err)
		default:
			return fmt.Errorf("receive: %w", err)
		}
	}
}

func (c *pubsubConn) handle(ctx context.Context, received any) error {
	switch r := received.(type) {
	case *redis.Subscription:
		if r.Channel == c.probe.channel {
			return c.handleProbeSubscription(r.Kind)
		}
		if channel, ok := c.broker.keys.channel(r.Channel); ok && c.handleSubscription(channel, r.Kind) {
			c.release(ctx, channel)
		}
	case *redis.Message:
		if r.Channel == c.probe.channel {
			c.probe.heard(r.Payload)
		} else if channel, ok := c.broker.keys.channel(r.Channel); ok {
			c.handleMessage(channel, r.Payload)
		}
	}
	return nil
}

func (c *pubsubConn) handleProbeSubscription(kind string) error {
	if kind == "sunsubscribe" {
		return errGone
	}
	c.probe.confirm()
	return nil
}

// handleSubscription reports a confirmed subscription to the sink. taken reports whether
// the server took the channel away, because its slot has left the primary.
func (c *pubsubConn) handleSubscription(channel, kind string) (taken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	confirmed, wanted := c.carried[channel]
	if kind == "sunsubscribe" || kind == "unsubscribe" {
		if confirmed { // else it answers an earlier UNSUBSCRIBE
			delete(c.carried, channel)
		}
		return confirmed
	}
	// An earlier confirmation may be of a SUBSCRIBE that was undone since.
	if c.unconfirmed[channel]--; c.unconfirmed[channel] > 0 {
		return false
	}
	delete(c.unconfirmed, channel)
	if wanted {
		c.carried[channel] = true
		c.sink.Subscribed(channel)
	}
	return false
}

// handleMoved releases the unconfirmed channels of a slot that the primary does not have.
// err may also answer an UNSUBSCRIBE, which was not needed then.
func (c *pubsubConn) handleMoved(ctx context.Context, err error) {
	slot := strings.Fields(err.Error())[1]
	var taken []string
	c.mu.Lock()
	for channel := range c.unconfirmed {
		if strconv.Itoa(keySlot(c.broker.keys.live(channel))) == slot {
			delete(c.unconfirmed, channel)
			if _, wanted := c.carried[channel]; wanted {
				delete(c.carried, channel)
				taken = append(taken, channel)
			}
		}
	}
	c.mu.Unlock()
	c.release(ctx, taken...)
}

// release returns channels that the connection no longer has to the relay.
func (c *pubsubConn) release(ctx context.Context, channels ...string) {
	for _, channel := range channels {
		select {
		case c.movedChannels <- channel:
		case <-ctx.Done():
		}
	}
}

// maxAhead is how far a relayed message may be ahead of this node's clock and still be
// trusted. If one were trusted that the log does not have, all earlier messages would
// count as old.
const maxAhead = time.Minute

// handleMessage passes a message to the sink, if the connection still has its channel.
func (c *pubsubConn) handleMessage(channel, payload string) {
	m, err := decodeRelay(channel, payload)
	if err != nil {
		c.broker.foreign.found(InRelay, channel, err)
		return
	}
	if m == nil {
		return
	}
	if time.Until(m.ID.Time()) > maxAhead {
		m.Data = nil // then it is only announced, and is read from the log
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, wanted := c.carried[channel]; wanted {
		c.sink.Received(channel, m)
	}
}
