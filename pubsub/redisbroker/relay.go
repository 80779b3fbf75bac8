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

// relay keeps links to the primaries and gives each wanted channel to one of
// them: on Redis Cluster to the primary that has its slot, else to one of
// Options.Links by its hash. A link that failed in any way is thrown away
// whole, so that what a link carried had no hole in it; its channels are then
// carried anew, by whoever has them. One goroutine owns it, Relay's.
type relay struct {
	broker *Broker
	sink   pubsub.Sink
	links  map[linkKey]*link
	lost   []string  // channels that a link has lost, which the sink is still to be told
	since  time.Time // when all of lost were carried
	ended  chan *link
	taken  chan string // channels that a server takes away from a link that goes on
	found  chan []*primary
	asking bool            // the primaries are being asked for; found answers, with nil if nobody knows
	life   context.Context // the links'
	retry  *time.Timer     // set while something waits for a link
	wait   time.Duration
	busy   sync.WaitGroup // links, and who asks
}

// linkKey says which link: on Redis Cluster the only one to a primary.
type linkKey struct {
	primary *primary
	number  int
}

// searchEvery is how often the primaries are asked for where they may be others
// by now.
const searchEvery = time.Second

const (
	minRelink = 50 * time.Millisecond
	maxRelink = 2 * time.Second
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
		links: make(map[linkKey]*link),
		ended: make(chan *link), taken: make(chan string), found: make(chan []*primary),
		life: ctx, retry: time.NewTimer(0), wait: minRelink,
	}
	defer r.retry.Stop()
	r.run(ctx)
	return ctx.Err()
}

// run works until ctx ends, and then waits for the links.
func (r *relay) run(ctx context.Context) {
	patrol := time.NewTicker(searchEvery)
	defer patrol.Stop()
	for {
		select {
		case <-r.broker.wanted.kick:
			r.change(ctx, r.broker.wanted.take())
		case channel := <-r.taken:
			r.orphan(channel)
		case l := <-r.ended:
			r.end(l)
		case <-r.retry.C:
			r.ask(ctx)
		case primaries := <-r.found:
			r.asking = false
			r.settle(ctx, primaries)
		case <-patrol.C:
			if r.broker.topology.moves() {
				r.ask(ctx)
			}
		case <-ctx.Done():
			r.busy.Wait()
			return
		}
	}
}

// change gives new channels to links, and takes others away. Where no link can
// be had, settle goes on later.
func (r *relay) change(ctx context.Context, changes []change) {
	r.tell() // before one of these is carried again
	waiting := false
	for _, c := range changes {
		l := r.linkOf(c.channel)
		switch {
		case c.carry && l == nil && !waiting:
			waiting = !r.place(ctx, c.channel)
		case !c.carry && l != nil:
			l.drop(c.channel)
		}
	}
	if waiting {
		r.later()
	}
}

// linkOf is the link that has a channel, nil while it waits for one. There are
// few links; a map of the channels beside theirs would take 0.1 KiB each.
func (r *relay) linkOf(channel string) *link {
	for _, l := range r.links {
		if l.has(channel) {
			return l
		}
	}
	return nil
}

// place gives a channel that none carries to a link, if one can be had.
func (r *relay) place(ctx context.Context, channel string) bool {
	p, err := r.broker.topology.of(ctx, r.broker.keys.live(channel))
	if err != nil {
		return false
	}
	l := r.open(p, r.numberOf(channel))
	l.carry(channel)
	return true
}

// linksEach is how many links there are to a primary.
func (b *Broker) linksEach() int {
	if b.sharded() {
		return 1
	}
	return b.options.Links
}

func (r *relay) numberOf(channel string) int {
	h := fnv.New32a()
	h.Write([]byte(channel))
	return int(h.Sum32() % uint32(r.broker.linksEach()))
}

// open finds or starts a link.
func (r *relay) open(p *primary, number int) *link {
	key := linkKey{p, number}
	l := r.links[key]
	if l == nil {
		l = newLink(r, key)
		r.links[key] = l
		r.busy.Go(func() {
			l.run(r.life)
			select {
			case r.ended <- l:
			case <-r.life.Done():
			}
		})
	}
	return l
}

// end takes a failed link away; its channels are carried by nobody.
func (r *relay) end(l *link) {
	delete(r.links, l.key)
	r.lose(l.probe.heardAt, l.channels()...)
	r.tell()
	level := slog.LevelDebug // one that never worked says nothing new
	if l.worked() {
		level, r.wait = slog.LevelWarn, minRelink
	}
	r.broker.logger.Log(context.Background(), level, "relay connection to redis failed, will make a new one", "address", l.key.primary.address, "error", l.err)
	r.broker.health.failed(l.key, l.err)
	r.broker.troubles.count(ToRelay, l.err)
	r.later()
}

// orphan says that a channel's slot has left the primary of its link, which goes
// on without it, and may have given it back already. Often many come at once, so
// the sink is told when all have.
func (r *relay) orphan(channel string) {
	if l := r.linkOf(channel); l != nil {
		l.drop(channel)
	}
	r.lose(time.Now(), channel)
	r.retry.Reset(minRelink - rand.N(minRelink/2))
}

// lose notes channels that were carried at a time and may not have been since.
func (r *relay) lose(since time.Time, channels ...string) {
	if len(r.lost) == 0 || since.Before(r.since) {
		r.since = since
	}
	r.lost = append(r.lost, channels...)
}

// tell tells the sink what was lost.
func (r *relay) tell() {
	if len(r.lost) > 0 {
		r.sink.Disconnected(r.since, r.lost...)
		r.lost = nil
	}
}

// later has settle try again soon, each time after a longer wait.
func (r *relay) later() {
	r.retry.Reset(r.wait - rand.N(r.wait/2))
	r.wait = min(2*r.wait, maxRelink)
}

// ask has the primaries found, and settle called. The relay does not wait for
// it: a node of a Redis Cluster that hangs must not hold up the others' links.
func (r *relay) ask(ctx context.Context) {
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
		r.broker.recheck(ctx)
	})
}

// settle gives every channel to the link that it belongs to now, and makes sure
// that there are links even with nothing to carry, because they are also what
// tells whether the relay works.
func (r *relay) settle(ctx context.Context, primaries []*primary) {
	r.tell()
	if len(primaries) == 0 {
		r.later()
		return
	}
	r.openAll(primaries)
	for _, channel := range r.broker.wanted.all() {
		switch l := r.linkOf(channel); {
		case l != nil && !r.belongs(ctx, channel, l):
			r.orphan(channel)
		case l == nil && !r.place(ctx, channel):
			r.later()
			return
		}
	}
}

// openAll opens the links to all primaries.
func (r *relay) openAll(primaries []*primary) {
	keys := make(map[linkKey]bool)
	for _, p := range primaries {
		for number := range r.broker.linksEach() {
			r.open(p, number)
			keys[linkKey{p, number}] = true
		}
	}
	for key, l := range r.links {
		if !keys[key] {
			l.leave() // no primary any more
		}
	}
	r.broker.health.keep(keys)
}

func (r *relay) belongs(ctx context.Context, channel string, l *link) bool {
	p, err := r.broker.topology.of(ctx, r.broker.keys.live(channel))
	return err != nil || p == l.key.primary
}
