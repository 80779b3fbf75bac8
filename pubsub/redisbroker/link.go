package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

var errSilent = errors.New("no answer to PING")

// link is one pub/sub connection, from its making to its first failure.
// go-redis would mend it by itself, but then nobody would know what was
// missed; so every error ends the link.
type link struct {
	broker  *Broker
	sink    pubsub.Sink
	pubsub  *redis.PubSub
	carried bool // a channel was confirmed; only run's goroutine

	mu      sync.Mutex
	unheard map[string]int // SUBSCRIBEs of a channel that are not confirmed yet
}

func newLink(b *Broker, sink pubsub.Sink) *link {
	return &link{
		broker:  b,
		sink:    sink,
		pubsub:  b.client.Subscribe(context.Background()), // connects at the first SUBSCRIBE
		unheard: make(map[string]int),
	}
}

// run carries until ctx ends or the link fails.
func (l *link) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Closing is what ends a Receive under way.
	defer context.AfterFunc(ctx, func() { _ = l.pubsub.Close() })()
	defer l.pubsub.Close() //nolint:errcheck // a second Close only says so

	var writer sync.WaitGroup
	writer.Go(func() {
		if err := l.write(ctx); err != nil {
			cancel(err)
		}
	})
	err := l.read(ctx)
	cancel(err)
	writer.Wait()
	return context.Cause(ctx)
}

// subscribeBatch is how many channels one SUBSCRIBE names. 15,000 channels are
// then 30 commands instead of one of 1 MB, which would hold up Redis.
const subscribeBatch = 512

// write sends subscriptions until ctx ends or one fails.
func (l *link) write(ctx context.Context) error {
	changes := l.broker.wanted.all()
	for {
		for len(changes) > 0 {
			n := 1
			for n < min(len(changes), subscribeBatch) && changes[n].carry == changes[0].carry {
				n++
			}
			if err := l.send(ctx, changes[:n]); err != nil {
				return err
			}
			changes = changes[n:]
		}
		select {
		case <-l.broker.wanted.kick:
			changes = l.broker.wanted.take()
		case <-ctx.Done():
			return nil
		}
	}
}

// send sends changes that are all of one kind.
func (l *link) send(ctx context.Context, changes []change) error {
	ctx, cancel := context.WithTimeout(ctx, l.broker.options.Timeout)
	defer cancel()
	names := make([]string, len(changes))
	for i, c := range changes {
		names[i] = l.broker.keys.live(c.channel)
	}
	if !changes[0].carry {
		if err := l.pubsub.Unsubscribe(ctx, names...); err != nil {
			return fmt.Errorf("unsubscribe: %w", err)
		}
		return nil
	}
	l.mu.Lock()
	for _, name := range names {
		l.unheard[name]++
	}
	l.mu.Unlock()
	if err := l.pubsub.Subscribe(ctx, names...); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return nil
}

// read hands what arrives to the sink until the link fails. A link that has
// been silent for Options.Timeout is asked for a sign of life.
func (l *link) read(ctx context.Context) error {
	asked := false
	for {
		received, err := l.pubsub.ReceiveTimeout(ctx, l.broker.options.Timeout)
		var timeout net.Error
		switch {
		case err == nil:
			asked = false
			l.take(received)
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &timeout) && timeout.Timeout() && !asked:
			asked = true
			if err := l.ping(ctx); err != nil {
				return fmt.Errorf("ping: %w", err)
			}
		case asked:
			return fmt.Errorf("%w for %v: %w", errSilent, l.broker.options.Timeout, err)
		default:
			return fmt.Errorf("receive: %w", err)
		}
	}
}

func (l *link) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.broker.options.Timeout)
	defer cancel()
	return l.pubsub.Ping(ctx)
}

func (l *link) take(received any) {
	switch r := received.(type) {
	case *redis.Subscription:
		if channel, ok := l.broker.keys.channel(r.Channel); ok && r.Kind == "subscribe" && l.confirmed(r.Channel) {
			l.carried = true
			l.sink.Subscribed(channel)
		}
	case *redis.Message:
		channel, ok := l.broker.keys.channel(r.Channel)
		if !ok {
			return
		}
		m, err := decodeRelayed(channel, r.Payload)
		if err != nil {
			l.broker.logger.Warn("dropped what the relay carried", "channel", channel, "error", err)
			return
		}
		l.sink.Received(m)
	}
}

// confirmed counts a confirmation and reports whether it was the last one
// awaited: an earlier one may be of a SUBSCRIBE that was taken back since.
func (l *link) confirmed(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unheard[name] > 1 {
		l.unheard[name]--
		return false
	}
	delete(l.unheard, name)
	return true
}
