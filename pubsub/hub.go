package pubsub

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Options of a Hub. The zero value of each field means its default.
type Options struct {
	Tail    TailLimits    // default 1000 messages, 1 MiB
	Linger  time.Duration // how long a channel is kept after its last subscriber left; default 5s
	Sweep   time.Duration // how often each channel is compared with its log; default 30s
	Timeout time.Duration // the longest wait for a channel to open, and for one read; default 3s
	// Index has the rules for patterns; nil: there are none.
	Index *Index
	// OnOpened is called when a channel gets its first subscriber here, OnClosed when
	// its last one left Linger ago. Calls come in order. They must not block. Index logs
	// are no channels.
	OnOpened, OnClosed func(channel string)
	// OnRelayed is called for each message with a Trace that arrives for subscribers
	// here, before any of them gets it. It must not block, nor change the message.
	OnRelayed func(*Message)
	Logger    *slog.Logger // default: none
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&o.Linger, 5*time.Second)
	set(&o.Sweep, 30*time.Second)
	set(&o.Timeout, 3*time.Second)
	if o.Tail == (TailLimits{}) {
		o.Tail = TailLimits{Messages: 1000, Bytes: 1 << 20}
	}
	for _, f := range []*func(string){&o.OnOpened, &o.OnClosed} {
		if *f == nil {
			*f = func(string) {}
		}
	}
	if o.OnRelayed == nil {
		o.OnRelayed = func(*Message) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Hub is one node's side of the cluster: it keeps a tail for each channel that
// has subscribers here, repairs it by reading the log after every trouble, and
// lets subscribers read it. All methods may be called concurrently.
type Hub struct {
	broker  Broker
	options Options
	stop    context.CancelFunc
	ctx     context.Context // ends with Close
	done    sync.WaitGroup
	syncer  *syncer
	counts  counts
	timing  timing

	mu       sync.Mutex
	open     map[string]*Channel // by log
	patterns map[string]int      // subscribers, by pattern
}

// NewHub starts a hub over b, which it does not close. Close the hub first.
func NewHub(b Broker, o Options) *Hub {
	ctx, stop := context.WithCancel(context.Background())
	h := &Hub{
		broker: b, options: o.withDefaults(), counts: newCounts(),
		stop: stop, ctx: ctx, open: make(map[string]*Channel), patterns: make(map[string]int),
	}
	h.syncer = newSyncer(b, h.options, &h.counts)
	h.done.Go(func() {
		if err := b.Relay(ctx, relaySink{h}); err != nil && ctx.Err() == nil {
			h.options.Logger.Error("relay ended", "error", err)
		}
	})
	h.done.Go(func() { h.syncer.run(ctx) })
	h.done.Go(func() { h.runHousekeeping(ctx) })
	return h
}

// Close ends every Subscriber with ErrClosed and waits for the hub's
// goroutines. It may be called more than once.
func (h *Hub) Close() {
	h.stop()
	h.done.Wait()
}

// Publish is Broker.Publish for drafts that may be invalid: those get their
// *InvalidError as receipt, and the others go on.
func (h *Hub) Publish(ctx context.Context, drafts []Draft) []Receipt {
	receipts := make([]Receipt, len(drafts))
	valid := make([]Draft, 0, len(drafts))
	at := make([]int, 0, len(drafts))
	for i, d := range drafts {
		if err := d.Validate(); err != nil {
			receipts[i].Err = err
			continue
		}
		if d.Type == "" {
			d.Type = DefaultType
		}
		valid, at = append(valid, d), append(at, i)
	}
	if len(valid) > 0 {
		f := h.timing.begin(&valid[0], h.isOpen)
		for i, r := range h.broker.Publish(ctx, valid) {
			receipts[at[i]] = r
		}
		h.timing.end(f, &receipts[at[0]])
	}
	for i := range receipts {
		h.counts.publishes.Add(outcomeOf(&receipts[i]), 1)
	}
	return receipts
}

func (h *Hub) isOpen(channel string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open[channel] != nil
}

// EachOpen calls f for each open channel. No channel is opened or closed
// meanwhile. f must not block, nor call the hub.
func (h *Hub) EachOpen(f func(channel string)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for log := range h.open {
		if !IsIndexLog(log) {
			f(log)
		}
	}
}

// Read reads a part of a channel's log, or of an index log. The error is an *InvalidError
// for a bad channel, or the page's.
func (h *Hub) Read(ctx context.Context, q Query) (Page, error) {
	if err := validateLog(q.Channel); err != nil {
		return Page{}, err
	}
	p := h.readLogs(ctx, []Query{q}, ForHistory)[0]
	return p, p.Err
}

// readLogs is Broker.Read, until ctx ends, the hub is closed, or
// Options.Timeout is over.
func (h *Hub) readLogs(ctx context.Context, queries []Query, who ReadPurpose) []Page {
	h.counts.reads.Add(who, len(queries))
	ctx, cancel := context.WithTimeout(ctx, h.options.Timeout)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	pages := h.broker.Read(ctx, queries)
	for i := range pages {
		if pages[i].Err != nil && h.ctx.Err() != nil {
			pages[i].Err = ErrClosed
		}
	}
	return pages
}

// acquire opens a channel, or shares it. It may not be ready yet, see await.
func (h *Hub) acquire(channel string) *Channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.open[channel]
	if c == nil {
		c = newChannel(channel, h)
		h.open[channel] = c
		h.broker.Subscribe(channel)
		if !IsIndexLog(channel) {
			h.options.OnOpened(channel)
		}
	}
	c.users++
	return c
}

// await waits until the tails of places are ready. at is the one that an error
// is about.
func (h *Hub) await(ctx context.Context, places []*subscription) (at int, err error) {
	isReady := func(p *subscription) bool {
		select {
		case <-p.tail.opening.Load().ready:
			return true
		default:
			return false
		}
	}
	at = slices.IndexFunc(places, func(p *subscription) bool { return !isReady(p) })
	if at < 0 {
		return 0, nil // as of most, which need no timer
	}
	timeout := time.NewTimer(h.options.Timeout)
	defer timeout.Stop()
	for ; at < len(places); at++ {
		if err := h.awaitOne(ctx, places[at].tail, timeout.C); err != nil {
			return at, err
		}
	}
	return 0, nil
}

func (h *Hub) awaitOne(ctx context.Context, c *Channel, timeout <-chan time.Time) error {
	o := c.opening.Load()
	select {
	case <-o.ready:
		return nil
	case <-o.broken:
		select {
		case <-o.ready: // by now
			return nil
		default:
			return ErrUnreadable
		}
	case <-timeout:
		return fmt.Errorf("no answer within %v: %w", h.options.Timeout, ErrUnavailable)
	case <-h.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// runHousekeeping closes channels that have been unused for Options.Linger, and
// sweeps.
func (h *Hub) runHousekeeping(ctx context.Context) {
	linger := time.NewTicker(h.options.Linger)
	defer linger.Stop()
	sweep := time.NewTicker(h.options.Sweep)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-linger.C:
			h.closeUnused()
		case <-sweep.C:
			h.sweep()
		}
	}
}

func (h *Hub) closeUnused() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for channel, t := range h.open {
		if t.users == 0 && time.Since(t.unused) >= h.options.Linger {
			delete(h.open, channel)
			t.closed.Store(true)
			h.broker.Unsubscribe(channel)
			if !IsIndexLog(channel) {
				h.options.OnClosed(channel)
			}
		}
	}
}

// sweep compares every tail with its log, to find faults that no rule covers.
func (h *Hub) sweep() {
	for _, t := range h.channels() {
		h.syncer.refresh(t, BySweep)
	}
}

// relaySink is how the relay reaches the hub.
type relaySink struct{ h *Hub }

func (s relaySink) tail(channel string) *Channel {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	return s.h.open[channel]
}

func (s relaySink) Subscribed(channel string) {
	t := s.tail(channel)
	if t == nil {
		return // let go meanwhile
	}
	t.mu.Lock()
	t.subscribed()
	again := t.opened
	t.mu.Unlock()
	if again {
		s.h.counts.resyncs.Add(ByRelay, 1)
	}
	s.h.syncer.add(t)
}

func (s relaySink) Received(log string, m *Message) {
	t := s.tail(log)
	if t == nil {
		return // let go meanwhile
	}
	m = s.h.timing.arrived(m)
	if m.Trace != "" {
		s.h.options.OnRelayed(m)
	}
	t.mu.Lock()
	end, _ := t.end()
	read := t.received(m)
	t.notifyWatchers(end)
	t.mu.Unlock()
	if read {
		s.h.counts.resyncs.Add(ByMessage, 1)
		s.h.syncer.add(t)
	}
}

func (s relaySink) Disconnected(since time.Time, channels ...string) {
	s.h.options.Logger.Info("relay disconnected; subscribers stay and catch up later", "channels", len(channels))
	for _, channel := range channels {
		if t := s.tail(channel); t != nil {
			t.mu.Lock()
			t.disconnected(since)
			t.mu.Unlock()
		}
	}
}
