package conn

import (
	"sync"
	"time"
	"unique"
)

// writer owns a share of the parked connections: one goroutine, run, does all
// work on them. Other goroutines put work into its inbox. Each of its parts uses
// only parts before it: schedule, registry, polls, closer, clock, flusher.
type writer struct {
	parker      *Parker
	number      int
	kick        chan struct{} // holds a token while the inbox has something
	counters    *writeCounters
	socketWrite func(fd int, data []byte) (int, error)

	mu    sync.Mutex // guards all below and shard.queued
	inbox inbox
	ended bool // nothing is accepted any more

	// Owned by run.
	spare    inbox // empty slices of an earlier inbox, for the next one
	registry registry
	polls    pollServer
	closer   closer
	clock    clock
	flusher  flusher
}

// inbox is the work that other goroutines have put in.
type inbox struct {
	added     []*parked
	events    []event
	grown     []*shard // their feeds have grown
	revoke    []revocation
	drain     *time.Duration // the spread of a drain that has just been requested
	closeIdle int            // how many idle polls to close
	answers   []madeAnswer   // of Answerers
	interrupt []interrupted  // polls to answer at once
}

func newWriter(p *Parker, number int) *writer {
	w := &writer{
		parker: p, number: number, kick: make(chan struct{}, 1),
		counters: &p.counters.each[number], socketWrite: writeNow,
	}
	w.clock.init(p.Heartbeat)
	s := &w.clock.schedule
	w.registry = registry{parker: p, schedule: s, drained: make(chan struct{})}
	w.polls = pollServer{parker: p, registry: &w.registry, schedule: s, counters: w.counters}
	w.closer = closer{registry: &w.registry, polls: &w.polls, schedule: s, revoked: make(map[unique.Handle[string]]revocation)}
	w.clock.registry, w.clock.polls, w.clock.closer, w.clock.urgent = &w.registry, &w.polls, &w.closer, w.workUrgent
	w.flusher = flusher{
		parker: p, registry: &w.registry, polls: &w.polls, closer: &w.closer, clock: &w.clock,
		counters: w.counters, timer: time.NewTimer(0), maxDefer: maxDefer,
	}
	w.flusher.timer.Stop()
	return w
}

// hand calls put with the inbox and wakes the writer. After the writer has ended
// it returns false without calling put.
func (w *writer) hand(put func(*inbox)) bool {
	w.mu.Lock()
	ended := w.ended
	if !ended {
		put(&w.inbox)
	}
	w.mu.Unlock()
	if ended {
		return false
	}
	select {
	case w.kick <- struct{}{}:
	default:
	}
	return true
}

// add hands in a connection that has joined its feeds.
func (w *writer) add(p *parked) {
	if !w.hand(func(in *inbox) { in.added = append(in.added, p) }) {
		w.parker.abandon(p)
	}
}

// post hands in events of the poller.
func (w *writer) post(events []event) {
	w.hand(func(in *inbox) { in.events = append(in.events, events...) })
}

// feedGrown hands in a shard with a feed that has grown.
func (w *writer) feedGrown(s *shard) {
	w.hand(func(in *inbox) {
		if !s.queued {
			s.queued = true
			in.grown = append(in.grown, s)
		}
	})
}

// drain closes all connections, spread over time, and new ones at once.
func (w *writer) drain(spread time.Duration) { w.hand(func(in *inbox) { in.drain = &spread }) }

// revoke closes the connections that r is about.
func (w *writer) revoke(r revocation) {
	w.hand(func(in *inbox) { in.revoke = append(in.revoke, r) })
}

// interrupt answers p at once, if it still waits for what i belongs to.
func (w *writer) interrupt(p *parked, i *Interrupt) {
	w.hand(func(in *inbox) { in.interrupt = append(in.interrupt, interrupted{p, i}) })
}

// run works until stop is closed.
func (w *writer) run(stop <-chan struct{}) {
	tick := time.NewTicker(w.clock.tick)
	defer tick.Stop()
	defer w.flusher.timer.Stop()
	for {
		select {
		case <-w.kick:
			w.work()
		case <-w.flusher.timer.C:
			w.flusher.flushDeferred()
		case <-tick.C:
		case <-stop:
			w.closeAll()
			return
		}
		w.clock.keepTime()
	}
}

// closeAll does the rest of the work, closes all connections and ends the inbox.
func (w *writer) closeAll() {
	for ended := false; !ended; {
		w.work()
		w.registry.closeAll()
		w.mu.Lock()
		ended = len(w.inbox.added) == 0
		w.ended = ended
		w.mu.Unlock()
	}
}

// work does what is in the inbox.
func (w *writer) work() {
	w.mu.Lock()
	in := w.inbox
	w.inbox, w.spare = w.spare, inbox{}
	for _, s := range in.grown {
		s.queued = false
	}
	w.mu.Unlock()
	for i, p := range in.added {
		w.register(p)
		w.clock.keepTimeEvery(i)
	}
	for i, e := range in.events {
		w.handle(e)
		w.clock.keepTimeEvery(i)
	}
	for i, s := range in.grown {
		w.flusher.flushOrDefer(s)
		w.clock.keepTimeEvery(i)
	}
	for i := range in.answers {
		w.polls.finishAnswer(&in.answers[i])
		w.clock.keepTimeEvery(i)
	}
	for _, i := range in.interrupt {
		w.polls.answerInterrupted(i)
	}
	w.doUrgent(&in)
	w.spare = inbox{events: emptied(in.events), grown: emptied(in.grown)}
}

// maxSpare is the most elements of an emptied slice.
const maxSpare = 4 << 10

// emptied returns the memory of s for the next use, unless it is unusually large.
func emptied[T any](s []T) []T {
	if cap(s) > maxSpare {
		return nil
	}
	clear(s)
	return s[:0]
}

// workUrgent does the work in the inbox that does not wait for the end of a flush
// pass.
func (w *writer) workUrgent() {
	w.mu.Lock()
	in := inbox{revoke: w.inbox.revoke, drain: w.inbox.drain, closeIdle: w.inbox.closeIdle}
	w.inbox.revoke, w.inbox.drain, w.inbox.closeIdle = nil, nil, 0
	w.mu.Unlock()
	w.doUrgent(&in)
}

func (w *writer) doUrgent(in *inbox) {
	for _, r := range in.revoke {
		w.closer.revoke(r)
	}
	w.registry.closeIdle(in.closeIdle)
	if in.drain != nil {
		w.flusher.endDeferrals()
		w.closer.beginDrain(*in.drain)
		w.closer.drainStep()
	}
}

// register makes p one of the writer's connections and brings it up to date.
func (w *writer) register(p *parked) {
	w.registry.add(p)
	if w.parker.poller.add(p) == nil {
		w.flusher.catchUp(p)
	} else {
		w.registry.close(p)
	}
	p.joined()
	w.closer.checkNew(p)
}

// handle acts on an event of the poller.
func (w *writer) handle(e event) {
	switch p := e.conn; {
	case p.removed:
	case e.closed:
		w.registry.close(p)
	case e.readable:
		p.readable = true
		if !p.poll.waiting && !p.poll.answering() {
			w.polls.readNext(p)
		}
	case p.blocked:
		w.flusher.catchUp(p)
	}
}
