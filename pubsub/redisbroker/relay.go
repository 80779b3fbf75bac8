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

// relay keeps connections to the primaries and gives each wanted channel to one of
// them: on Redis Cluster to the primary that has its slot, else to one of
// Options.Links by its hash. A connection that failed in any way is thrown away
// whole, so that what a connection carried had no hole in it; its channels are then
// carried anew, by whoever has them. One goroutine owns it, Relay's.
type relay struct {
	broker        *Broker
	sink          pubsub.Sink
	conns         map[pubsubConnKey]*pubsubConn
	disconnected  []string  // channels that a connection has lost, which the sink is still to be told
	since         time.Time // when all of lost were carried
	ended         chan *pubsubConn
	movedChannels chan string // channels that a server takes away from a connection that goes on
	found         chan []*primary
	asking        bool            // the primaries are being asked for; found answers, with nil if nobody knows
	ctx           context.Context // the connections'
	retry         *time.Timer     // set while something waits for a connection
	wait          time.Duration
	busy          sync.WaitGroup // connections, and who asks
}

// pubsubConnKey says which connection: on Redis Cluster the only one to a primary.
type pubsubConnKey struct {
	primary *primary
	number  int
}

// searchEvery is how often the primaries are asked for where they may be others
// by now.
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

// run works until ctx ends, and then waits for the connections.
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

// applyChanges gives new channels to connections, and takes others away. Where no connection can
// be had, reconcile goes on later.
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

// connOf is the connection that has a channel, nil while it waits for one. There are
// few connections; a map of the channels beside theirs would take 0.1 KiB each.
func (r *relay) connOf(channel string) *pubsubConn {
	for _, c := range r.conns {
		if c.has(channel) {
			return c
		}
	}
	return nil
}

// assign gives a channel that none carries to a connection, if one can be had.
func (r *relay) assign(ctx context.Context, channel string) bool {
	p, err := r.broker.topology.of(ctx, r.broker.keys.live(channel))
	if err != nil {
		return false
	}
	c := r.openConn(p, r.numberOf(channel))
	c.addChannel(channel)
	return true
}

// connsPerPrimary is how many connections there are to a primary.
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

// openConn finds or starts a connection.
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

// removeConn takes a failed connection away; its channels are carried by nobody.
func (r *relay) removeConn(c *pubsubConn) {
	delete(r.conns, c.key)
	r.noteDisconnected(c.probe.heardAt, c.channels()...)
	r.reportDisconnected()
	level := slog.LevelDebug // one that never worked says nothing new
	if c.worked() {
		level, r.wait = slog.LevelWarn, minReconnect
	}
	r.broker.logger.Log(context.Background(), level, "relay connection to redis failed, will make a new one", "address", c.key.primary.address, "error", c.err)
	r.broker.health.failed(c.key, c.err)
	r.broker.errorCounts.count(ToRelay, c.err)
	r.retryLater()
}

// channelMoved says that a channel's slot has left the primary of its connection, which goes
// on without it, and may have given it back already. Often many come at once, so
// the sink is told when all have.
func (r *relay) channelMoved(channel string) {
	if c := r.connOf(channel); c != nil {
		c.removeChannel(channel)
	}
	r.noteDisconnected(time.Now(), channel)
	r.retry.Reset(minReconnect - rand.N(minReconnect/2))
}

// noteDisconnected notes channels that were carried at a time and may not have been since.
func (r *relay) noteDisconnected(since time.Time, channels ...string) {
	if len(r.disconnected) == 0 || since.Before(r.since) {
		r.since = since
	}
	r.disconnected = append(r.disconnected, channels...)
}

// reportDisconnected tells the sink what was lost.
func (r *relay) reportDisconnected() {
	if len(r.disconnected) > 0 {
		r.sink.Disconnected(r.since, r.disconnected...)
		r.disconnected = nil
	}
}

// retryLater has reconcile try again soon, each time after a longer wait.
func (r *relay) retryLater() {
	r.retry.Reset(r.wait - rand.N(r.wait/2))
	r.wait = min(2*r.wait, maxReconnect)
}

// findPrimaries has the primaries found, and reconcile called. The relay does not wait for
// it: a node of a Redis Cluster that hangs must not hold up the others' connections.
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
			r.broker.logger.Debug("cannot find the primaries, will try again", "error", err)
			primaries = r.broker.topology.known() // nobody says that they changed
		}
		select {
		case r.found <- primaries:
		case <-ctx.Done():
			return
		}
		r.broker.recheckTakeovers(ctx)
	})
}

// reconcile gives every channel to the connection that it belongs to now, and makes sure
// that there are connections even with nothing to carry, because they are also what
// tells whether the relay works.
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

// openAll opens the connections to all primaries.
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
			c.stop() // no primary any more
		}
	}
	r.broker.health.keep(keys)
}

func (r *relay) belongs(ctx context.Context, channel string, c *pubsubConn) bool {
	p, err := r.broker.topology.of(ctx, r.broker.keys.live(channel))
	return err != nil || p == c.key.primary
}
