package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

var (
	errSilent = errors.New("no answer to PING")
	errGone   = errors.New("it is no primary any more")
)

// pubsubConn is one pub/sub connection, from its making to its first failure.
// go-redis would mend it by itself, but then nobody would know what was
// missed; so every error ends the connection.
type pubsubConn struct {
	broker        *Broker
	key           pubsubConnKey
	primary       *primary
	sink          pubsub.Sink
	movedChannels chan<- string // to the relay: channels that the server takes away
	pubsub        *redis.PubSub
	probe         *probe
	kick          chan struct{} // holds a token while changes may be non-empty
	stopped       chan struct{} // closed by stop
	stopping      sync.Once
	err           error // why it ended; set by run

	mu          sync.Mutex      // guards all below, and is held while the sink is called
	carried     map[string]bool // channels; true if confirmed
	unconfirmed map[string]int  // SUBSCRIBEs of a channel that are not confirmed yet
	changes     []change
}

func newPubsubConn(r *relay, key pubsubConnKey) *pubsubConn {
	p := key.primary
	c := &pubsubConn{
		broker: r.broker, key: key, primary: p, sink: r.sink, movedChannels: r.movedChannels,
		kick: make(chan struct{}, 1), stopped: make(chan struct{}),
		carried: make(map[string]bool), unconfirmed: make(map[string]int),
	}
	// Both connect at the first subscription.
	if r.broker.sharded() {
		c.pubsub = p.client.SSubscribe(context.Background())
	} else {
		c.pubsub = p.client.Subscribe(context.Background())
	}
	c.probe = newProbe(c)
	return c
}

// addChannel adds a channel.
func (c *pubsubConn) addChannel(channel string) {
	c.mu.Lock()
	c.carried[channel] = false
	c.unconfirmed[channel]++
	c.changes = append(c.changes, change{channel, true})
	c.mu.Unlock()
	c.wake()
}

// removeChannel takes a channel away, of which nothing more reaches the sink.
func (c *pubsubConn) removeChannel(channel string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, had := c.carried[channel]; had {
		delete(c.carried, channel)
		c.changes = append(c.changes, change{channel, false})
		c.wake()
	}
}

// has reports whether a channel was given to the connection.
func (c *pubsubConn) has(channel string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, had := c.carried[channel]
	return had
}

// channels is all that were given to the connection.
func (c *pubsubConn) channels() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.carried))
}

func (c *pubsubConn) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// stop ends the connection.
func (c *pubsubConn) stop() { c.stopping.Do(func() { close(c.stopped) }) }

// worked reports whether the connection, which has ended, has ever carried a probe.
func (c *pubsubConn) worked() bool { return !c.probe.heardAt.IsZero() }

// connect makes the connection's connection. All that is done with it later has the
// context ended: go-redis would replace a connection that failed, and subscribe
// again there, with the context of whatever failed. A canceled one prevents that,
// and nothing else, as a write or a read heeds only a context's deadline.
func (c *pubsubConn) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.broker.options.Timeout)
	defer cancel()
	if err := c.pubsub.Ping(ctx); err != nil { // that it is answered is seen with the first SUBSCRIBE
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// run carries until ctx ends or the connection fails.
func (c *pubsubConn) run(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Closing is what ends a Receive under way.
	defer context.AfterFunc(ctx, func() { _ = c.pubsub.Close() })()
	defer c.pubsub.Close() //nolint:errcheck // a second Close only says so

	if c.err = c.connect(ctx); c.err != nil {
		return
	}
	var others sync.WaitGroup
	for _, work := range []func(context.Context) error{c.write, c.probe.run} {
		others.Go(func() {
			if err := work(ctx); err != nil {
				cancel(err)
			}
		})
	}
	cancel(c.read(ctx))
	others.Wait()
	c.err = context.Cause(ctx)
}

// subscribeBatch is how many channels one SUBSCRIBE names. 15,000 channels are
// then 30 commands instead of one of 1 MB, which would hold up Redis.
const subscribeBatch = 512

// write sends subscriptions until ctx ends or one fails.
func (c *pubsubConn) write(ctx context.Context) error {
	for {
		c.mu.Lock()
		changes := c.changes
		c.changes = nil
		c.mu.Unlock()
		for len(changes) > 0 {
			n := 1
			for n < min(len(changes), c.batch()) && changes[n].carry == changes[0].carry {
				n++
			}
			if err := c.send(changes[:n]); err != nil {
				return err
			}
			changes = changes[n:]
		}
		select {
		case <-c.kick:
		case <-c.stopped:
			return errGone
		case <-ctx.Done():
			return nil
		}
	}
}

// batch is how many channels one command may name. Those of one SSUBSCRIBE must
// have the same slot.
func (c *pubsubConn) batch() int {
	if c.broker.sharded() {
		return 1
	}
	return subscribeBatch
}

// send sends changes that are all of one kind.
func (c *pubsubConn) send(changes []change) error {
	names := make([]string, len(changes))
	for i, ch := range changes {
		names[i] = c.broker.keys.live(ch.channel)
	}
	if changes[0].carry {
		return c.subscribe(names...)
	}
	return c.unsubscribe(names...)
}

func (c *pubsubConn) subscribe(names ...string) error {
	return c.command("subscribe", c.pubsub.Subscribe, c.pubsub.SSubscribe, names)
}

func (c *pubsubConn) unsubscribe(names ...string) error {
	return c.command("unsubscribe", c.pubsub.Unsubscribe, c.pubsub.SUnsubscribe, names)
}

// command writes a command in its plain form, or in that for sharded pub/sub.
func (c *pubsubConn) command(what string, plain, sharded func(context.Context, ...string) error, names []string) error {
	do := plain
	if c.broker.sharded() {
		do = sharded
	}
	if err := do(ended, names...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
