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
	errGone   = errors.New("the server is no longer a primary")
)

// pubsubConn is one pub/sub connection, until its first error. go-redis would reconnect
// and subscribe again by itself, and messages in between would be lost unnoticed.
type pubsubConn struct {
	broker        *Broker
	key           pubsubConnKey
	primary       *primary
	sink          pubsub.Sink
	movedChannels chan<- string // to the relay: channels that the server has taken
	pubsub        *redis.PubSub
	probe         *probe
	kick          chan struct{} // holds a token while changes may be non-empty
	stopped       chan struct{} // closed by stop
	stopping      sync.Once
	err           error // with which it ended; set by run

	mu          sync.Mutex      // guards all below; held while the sink is called
	carried     map[string]bool // by channel: whether the subscription is confirmed
	unconfirmed map[string]int  // by channel: number of SUBSCRIBEs not confirmed yet
	changes     []change
}

func newPubsubConn(r *relay, key pubsubConnKey) *pubsubConn {
	p := key.primary
	c := &pubsubConn{
		broker: r.broker, key: key, primary: p, sink: r.sink, movedChannels: r.movedChannels,
		kick: make(chan struct{}, 1), stopped: make(chan struct{}),
		carried: make(map[string]bool), unconfirmed: make(map[string]int),
	}
	// These connect at the first command.
	if r.broker.sharded() {
		c.pubsub = p.client.SSubscribe(context.Background())
	} else {
		c.pubsub = p.client.Subscribe(context.Background())
	}
	c.probe = newProbe(c)
	return c
}

// addChannel adds a channel and subscribes to it.
func (c *pubsubConn) addChannel(channel string) {
	c.mu.Lock()
	c.carried[channel] = false
	c.unconfirmed[channel]++
	c.changes = append(c.changes, change{channel, true})
	c.mu.Unlock()
	c.wake()
}

// removeChannel removes a channel. The sink gets nothing more of it.
func (c *pubsubConn) removeChannel(channel string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, had := c.carried[channel]; had {
		delete(c.carried, channel)
		c.changes = append(c.changes, change{channel, false})
		c.wake()
	}
}

// has reports whether the connection has a channel.
func (c *pubsubConn) has(channel string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, had := c.carried[channel]
	return had
}

// channels returns all channels of the connection.
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

// worked reports whether a probe has ever come back. The connection must have ended.
func (c *pubsubConn) worked() bool { return !c.probe.heardAt.IsZero() }

// connect connects to Redis. All later calls of go-redis get the context ended: go-redis
// would use the context of a call that failed to reconnect and subscribe again. A
// canceled context prevents that and nothing else, as writes and reads only use a
// context's deadline.
func (c *pubsubConn) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.broker.options.Timeout)
	defer cancel()
	if err := c.pubsub.Ping(ctx); err != nil { // the answer is read with that to the first SUBSCRIBE
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// run runs the connection until ctx ends or the connection fails.
func (c *pubsubConn) run(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Only Close ends a Receive under way.
	defer context.AfterFunc(ctx, func() { _ = c.pubsub.Close() })()
	defer c.pubsub.Close() //nolint:errcheck // a second Close returns an error

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

// subscribeBatch is the maximum number of channels of one SUBSCRIBE. 15,000 channels are
// 30 commands then, instead of one of 1 MB, which would block Redis.
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

// batch returns the maximum number of channels of one command. Those of one SSUBSCRIBE
// must have the same slot.
func (c *pubsubConn) batch() int {
	if c.broker.sharded() {
		return 1
	}
	return subscribeBatch
}

// send sends changes, which must be of one kind.
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

// command sends the plain command or, on Redis Cluster, that for sharded pub/sub.
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
