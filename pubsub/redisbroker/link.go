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

var (
	errSilent = errors.New("no answer to PING")
	errGone   = errors.New("it is no primary any more")
)

// link is one pub/sub connection, from its making to its first failure.
// go-redis would mend it by itself, but then nobody would know what was
// missed; so every error ends the link.
type link struct {
	broker  *Broker
	key     linkKey
	primary *primary
	sink    pubsub.Sink
	lost    chan<- []string // to the relay: channels that the server takes away
	pubsub  *redis.PubSub
	probe   *probe
	kick    chan struct{} // holds a token while changes may be non-empty
	gone    chan struct{} // closed by leave
	leaving sync.Once
	err     error // why it ended; set by run

	mu      sync.Mutex      // guards all below, and is held while the sink is called
	carried map[string]bool // channels; true if confirmed
	unheard map[string]int  // SUBSCRIBEs of a channel that are not confirmed yet
	changes []change
	heard   bool // a channel or the probe was confirmed
}

func newLink(r *relay, key linkKey, p *primary) *link {
	l := &link{
		broker: r.broker, key: key, primary: p, sink: r.sink, lost: r.events,
		kick: make(chan struct{}, 1), gone: make(chan struct{}),
		carried: make(map[string]bool), unheard: make(map[string]int),
	}
	// Both connect at the first subscription.
	if r.broker.sharded() {
		l.pubsub = p.client.SSubscribe(context.Background())
	} else {
		l.pubsub = p.client.Subscribe(context.Background())
	}
	l.probe = newProbe(l)
	return l
}

// carry adds a channel.
func (l *link) carry(channel string) {
	l.mu.Lock()
	l.carried[channel] = false
	l.unheard[channel]++
	l.changes = append(l.changes, change{channel, true})
	l.mu.Unlock()
	l.wake()
}

// drop takes a channel away, of which nothing more reaches the sink. It reports
// whether the link had it.
func (l *link) drop(channel string) bool {
	l.mu.Lock()
	_, had := l.carried[channel]
	delete(l.carried, channel)
	l.changes = append(l.changes, change{channel, false})
	l.mu.Unlock()
	l.wake()
	return had
}

func (l *link) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// leave ends the link.
func (l *link) leave() { l.leaving.Do(func() { close(l.gone) }) }

// worked reports whether the link has ever carried anything, a probe at least.
func (l *link) worked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard
}

// run carries until ctx ends or the link fails.
func (l *link) run(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Closing is what ends a Receive under way.
	defer context.AfterFunc(ctx, func() { _ = l.pubsub.Close() })()
	defer l.pubsub.Close() //nolint:errcheck // a second Close only says so

	var others sync.WaitGroup
	for _, work := range []func(context.Context) error{l.write, l.probe.run} {
		others.Go(func() {
			if err := work(ctx); err != nil {
				cancel(err)
			}
		})
	}
	cancel(l.read(ctx))
	others.Wait()
	l.err = context.Cause(ctx)
}

// subscribeBatch is how many channels one SUBSCRIBE names. 15,000 channels are
// then 30 commands instead of one of 1 MB, which would hold up Redis.
const subscribeBatch = 512

// write sends subscriptions until ctx ends or one fails.
func (l *link) write(ctx context.Context) error {
	for {
		l.mu.Lock()
		changes := l.changes
		l.changes = nil
		l.mu.Unlock()
		for len(changes) > 0 {
			n := 1
			for n < min(len(changes), l.batch()) && changes[n].carry == changes[0].carry {
				n++
			}
			if err := l.send(ctx, changes[:n]); err != nil {
				return err
			}
			changes = changes[n:]
		}
		select {
		case <-l.kick:
		case <-l.gone:
			return errGone
		case <-ctx.Done():
			return nil
		}
	}
}

// batch is how many channels one command may name. Those of one SSUBSCRIBE must
// have the same slot.
func (l *link) batch() int {
	if l.broker.sharded() {
		return 1
	}
	return subscribeBatch
}

// send sends changes that are all of one kind.
func (l *link) send(ctx context.Context, changes []change) error {
	names := make([]string, len(changes))
	for i, c := range changes {
		names[i] = l.broker.keys.live(c.channel)
	}
	if changes[0].carry {
		return l.subscribe(ctx, names...)
	}
	return l.unsubscribe(ctx, names...)
}

func (l *link) subscribe(ctx context.Context, names ...string) error {
	ctx, cancel := context.WithTimeout(ctx, l.broker.options.Timeout)
	defer cancel()
	subscribe := l.pubsub.Subscribe
	if l.broker.sharded() {
		subscribe = l.pubsub.SSubscribe
	}
	if err := subscribe(ctx, names...); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return nil
}

func (l *link) unsubscribe(ctx context.Context, names ...string) error {
	ctx, cancel := context.WithTimeout(ctx, l.broker.options.Timeout)
	defer cancel()
	unsubscribe := l.pubsub.Unsubscribe
	if l.broker.sharded() {
		unsubscribe = l.pubsub.SUnsubscribe
	}
	if err := unsubscribe(ctx, names...); err != nil {
		return fmt.Errorf("unsubscribe: %w", err)
	}
	return nil
}

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
		received, err := l.pubsub.ReceiveTimeout(ctx, l.broker.options.Timeout)
		var timeout net.Error
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

func (l *link) take(ctx context.Context, received any) error {
	switch r := received.(type) {
	case *redis.Subscription:
		if r.Channel == l.probe.channel {
			return l.takeProbeSubscription(r.Kind)
		}
		if channel, ok := l.broker.keys.channel(r.Channel); ok && l.takeSubscription(channel, r.Kind) {
			select {
			case l.lost <- []string{channel}:
			case <-ctx.Done():
			}
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
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = true
	close(l.probe.confirmed)
	return nil
}

// takeSubscription tells the sink of a confirmation. lost says that the server
// took the channel away: its slot has left the primary.
func (l *link) takeSubscription(channel, kind string) (lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	confirmed, wanted := l.carried[channel]
	if kind == "sunsubscribe" || kind == "unsubscribe" {
		return confirmed // else it is the answer to an UNSUBSCRIBE of before
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

// takeMessage hands a message to the sink, if the link still carries its
// channel.
func (l *link) takeMessage(channel, payload string) {
	m, err := decodeRelayed(channel, payload)
	if err != nil {
		l.broker.logger.Warn("dropped what the relay carried", "channel", channel, "error", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, wanted := l.carried[channel]; wanted {
		l.sink.Received(m)
	}
}
