package redisbroker

import (
	"context"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"comet/pubsub"
)

// relay keeps connections to the primaries and assigns each wanted channel to one of
// them: on Redis Cluster to that of the primary that has its slot, else to one of
// Options.Links by its hash. A connection is closed at its first error, so that nothing
// is missing from what a connection carried; its channels are then assigned again. The
// goroutine of Relay owns it.
type relay struct {
	broker        *Broker
	sink          pubsub.Sink
	conns         map[pubsubConnKey]*pubsubConn
	disconnected  []string  // channels that a connection has lost and the sink does not know of yet
	since         time.Time // when all of disconnected were last carried
	ended         chan *pubsubConn
	movedChannels chan string // channels that a server has taken from a connection that goes on
	found         chan []*primary
	asking        bool            // findPrimaries is at work; it sends to found, nil without a primary
	ctx           context.Context // of the connections
	retry         *time.Timer     // set while a channel waits for a connection
	wait          time.Duration   // until the next retry
	busy          sync.WaitGroup  // connections and findPrimaries
}

// pubsubConnKey identifies a connection. On Redis Cluster number is always 0.
type pubsubConnKey struct {
	primary *primary
	number  int
}

// searchEvery is how often the primaries are searched for, if they may be replaced.
const searchEvery = time.Second

const (
	minReconnect = 50 * time.Millisecond
	maxReconnect = 2 * time.Second
)

// Relay implements pubsub.Broker.
func (b *Broker) Relay(ctx context.Context, sink pubsub.Sink) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return pubsub.ErrClosed
	}
	b.busy.Add(1)
	b.mu.Unlock()
	defer b.busy.Done()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()

	r := &relay{
		broker: b, sink: sink,
		conns: make(map[pubsubConnKey]*pubsubConn),
		ended: make(chan *pubsubConn), movedChannels: make(chan string), found: make(chan []*primary),
		ctx: ctx, retry: time.NewTimer(0), wait: minReconnect,
	}
	defer r.retry.Stop()
	r.run(ctx)
	return ctx.Err()
}

// run runs the relay until ctx ends, and then waits for the connections.
func (r *relay) run(ctx context.Context) {
	patrol := time.NewTicker(searchEvery)
	defer patrol.Stop()
	for {
		select {
		case <-r.broker.wanted.kick:
			r.applyChanges(ctx, r.broker.wanted.takeChanges())
		case channel := <-r.movedChannels:
			r.channelMoved(channel)
		case c := <-r.ended:
			r.removeConn(c)
		case <-r.retry.C:
			r.findPrimaries(ctx)
		case primaries := <-r.found:
			r.asking = false
			r.reconcile(ctx, primaries)
		case <-patrol.C:
			if r.broker.topology.moves() {
				r.findPrimaries(ctx)
			}
		case <-ctx.Done():
			r.busy.Wait()
			return
		}
	}
}

// applyChanges assigns new channels to connections, and removes others. Channels that
// cannot be assigned now are left to reconcile.
func (r *relay) applyChanges(ctx context.Context, changes []change) {
	r.reportDisconnected() // before one of these is carried again
	waiting := false
	for _, ch := range changes {
		c := r.connOf(ch.channel)
		switch {
		case ch.carry && c == nil && !waiting:
			waiting = !r.assign(ctx, ch.channel)
		case !ch.carry && c != nil:
			c.removeChannel(ch.channel)
		}
	}
	if waiting {
		r.retryLater()
	}
}

// connOf returns the connection of a channel, nil while it waits for one. It asks all
// connections, which are few; a map would take 0.1 KiB per channel.
func (r *relay) connOf(channel string) *pubsubConn {
	for _, c := range r.conns {
		if c.has(channel) {
			return c
		}
	}
	return nil
}

// assign adds a channel without a connection to one. It returns false if it cannot.
func (r *relay) assign(ctx context.Context, channel string) bool {
	p, err := r.broker.topology.of(ctx, r.broker.keys.live(channel))
	if err != nil {
		return false
	}
	c := r.openConn(p, r.numberOf(channel))
	c.addChannel(channel)
	return true
}

// connsPerPrimary returns the number of relay connections to a primary.
func (b *Broker) connsPerPrimary() int {
	if b.sharded() {
		return 1
	}
	return b.options.Links
}

func (r *relay) numberOf(channel string) int {
	h := fnv.New32a()
	h.Write([]byte(channel))
	return int(h.Sum32() % uint32(r.broker.connsPerPrimary()))
}

// openConn returns a connection, and starts it if it does not exist.
func (r *relay) openConn(p *primary, number int) *pubsubConn {
	key := pubsubConnKey{p, number}
	c := r.conns[key]
	if c == nil {
		c = newPubsubConn(r, key)
		r.conns[key] = c
		r.busy.Go(func() {
			c.run(r.ctx)
			select {
			case r.ended <- c:
			case <-r.ctx.Done():
			}
		})
	}
	return c
}

// removeConn removes a failed connection. Its channels have none then.
func (r *relay) removeConn(c *pubsubConn) {
	delete(r.conns, c.key)
	r.noteDisconnected(c.probe.heardAt, c.channels()...)
	r.reportDisconnected()
	level := slog.LevelDebug // one that never worked is no news
	if c.worked() {
		level, r.wait = slog.LevelWarn, minReconnect
	}
	r.broker.logger.Log(context.Background(), level, "relay connection to redis failed; reconnecting", "address", c.key.primary.address, "error", c.err)
	r.broker.health.failed(c.key, c.err)
	r.broker.errorCounts.count(ToRelay, c.err)
	r.retryLater()
}

// channelMoved removes a channel from its connection, because its slot has left the
// primary. The connection may have released it already. Often many channels move
// together, so the sink learns of them at the next retry.
func (r *relay) channelMoved(channel string) {
	if c := r.connOf(channel); c != nil {
		c.removeChannel(channel)
	}
	r.noteDisconnected(time.Now(), channel)
	r.retry.Reset(minReconnect - rand.N(minReconnect/2))
}

// noteDisconnected keeps channels that were last certainly carried at the time since.
func (r *relay) noteDisconnected(since time.Time, channels ...string) {
	if len(r.disconnected) == 0 || since.Before(r.since) {
		r.since = since
	}
	r.disconnected = append(r.disconnected, channels...)
}

// reportDisconnected reports the disconnected channels to the sink.
func (r *relay) reportDisconnected() {
	if len(r.disconnected) > 0 {
		r.sink.Disconnected(r.since, r.disconnected...)
		r.disconnected = nil
	}
}

// retryLater schedules reconcile, each time after a longer wait.
func (r *relay) retryLater() {
	r.retry.Reset(r.wait - rand.N(r.wait/2))
	r.wait = min(2*r.wait, maxReconnect)
}

// findPrimaries searches for the primaries in the background, and sends them to found.
// The relay does not wait for it: a node of a Redis Cluster that hangs must not delay the
// connections to others.
func (r *relay) findPrimaries(ctx context.Context) {
	if r.asking {
		return
	}
	r.asking = true
	r.busy.Go(func() {
		asked, cancel := context.WithTimeout(ctx, r.broker.options.Timeout)
		defer cancel()
		primaries, err := r.broker.topology.all(asked)
		r.broker.health.searched(err)
		if err != nil {
			r.broker.logger.Debug("search for redis primaries failed; retrying", "error", err)
			primaries = r.broker.topology.known() // as there is no news of them
		}
		select {
		case r.found <- primaries:
		case <-ctx.Done():
			return
		}
		r.broker.recheckTakeovers(ctx)
	})
}

// reconcile opens the connections to primaries, and assigns every channel to the one it
// belongs to now. It opens connections even without channels, because their probes show
// whether the relay works.
func (r *relay) reconcile(ctx context.Context, primaries []*primary) {
	r.reportDisconnected()
	if len(primaries) == 0 {
		r.retryLater()
		return
	}
	r.openAll(primaries)
	for _, channel := range r.broker.wanted.all() {
		switch c := r.connOf(channel); {
		case c != nil && !r.belongs(ctx, channel, c):
			r.channelMoved(channel)
		case c == nil && !r.assign(ctx, channel):
			r.retryLater()
			return
		}
	}
}

// openAll opens the connections to primaries, and stops all others.
func (r *relay) openAll(primaries []*primary) {
	keys := make(map[pubsubConnKey]bool)
	for _, p := range primaries {
		for number := range r.broker.connsPerPrimary() {
			r.openConn(p, number)
			keys[pubsubConnKey{p, number}] = true
		}
	}
	for key, c := range r.conns {
		if !keys[key] {
			c.stop() // no longer a primary
		}
	}
	r.broker.health.keep(keys)
}

func (r *relay) belongs(ctx context.Context, channel string, c *pubsubConn) bool {
	p, err := r.broker.topology.of(ctx, r.broker.keys.live(channel))
	return err != nil || p == c.key.primary
}
