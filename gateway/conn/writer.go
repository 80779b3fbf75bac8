//go:build linux

package conn

import (
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"comet/gateway/wire"
)

// A writer looks up at every tick, at least minSteps times a heartbeat: it
// walks through its streams in the time of 1/rounds of a heartbeat, which
// spreads the heartbeats, and a stream that would be late by the next round
// gets its own in this one. A round takes maxRound at most, and by that a stream
// outlives its session; polls end at most maxTick late.
const (
	minSteps = 32
	rounds   = 8
	maxTick  = 250 * time.Millisecond
	maxRound = 3 * time.Second
)

// writer writes to its share of what is parked, with one goroutine.
type writer struct {
	parker *Parker
	number int
	tick   time.Duration
	steps  uint32        // ticks in a heartbeat
	round  uint32        // ticks in a round
	kick   chan struct{} // holds a token while there is something to do
	wake   *time.Timer   // set while shards rest, for the first that has rested

	made       time.Time
	maxRest    time.Duration
	tally      *tally
	population population
	count      atomic.Int64  // of all
	empty      chan struct{} // closed when a leave has ended all

	mu    sync.Mutex // guards inbox and shard.queued
	inbox inbox

	// Owned by run.
	all       []*parked
	now       uint32   // counts ticks
	ms        int64    // the time of the last tick, Unix ms
	walked    int      // how far the walk of this round is
	resting   []*shard // that have grown
	leaving   leaving
	evicted   map[unique.Handle[string]]eviction // lately
	due       map[uint32][]*parked               // polls by the tick at which they have waited long enough
	heartbeat [wire.Formats][]byte               // by format
	scratch   []byte
	dated     time.Time // when dateText was right
	dateText  string
	input     [8 << 10]byte // of one read
}

// inbox is what others hand in.
type inbox struct {
	joins  []*parked
	events []event
	ready  []*shard // with feeds that have grown
	evict  []eviction
	leave  *time.Duration // the spread of a leave that has just been asked for
}

func newWriter(p *Parker, number int) *writer {
	tick := min(p.Heartbeat/minSteps, maxTick)
	steps := uint32(p.Heartbeat / tick)
	w := &writer{
		parker: p, number: number, tick: tick, steps: steps, round: min(steps/rounds, uint32(maxRound/tick)),
		kick: make(chan struct{}, 1), empty: make(chan struct{}), wake: time.NewTimer(0), made: time.Now(), maxRest: maxRest,
		tally: &p.ledger.tallies[number],
		due:   make(map[uint32][]*parked), evicted: make(map[unique.Handle[string]]eviction),
	}
	w.wake.Stop()
	for f := range w.heartbeat {
		w.heartbeat[f] = appendChunk(nil, wire.Format(f).AppendHeartbeat(nil))
	}
	return w
}

// hand lets put put something into the inbox, and wakes the writer.
func (w *writer) hand(put func(*inbox)) {
	w.mu.Lock()
	put(&w.inbox)
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// add hands in what has joined its feeds.
func (w *writer) add(p *parked) { w.hand(func(in *inbox) { in.joins = append(in.joins, p) }) }

// post hands in what the poller saw.
func (w *writer) post(e event) { w.hand(func(in *inbox) { in.events = append(in.events, e) }) }

// grown says that s's feed has.
func (w *writer) grown(s *shard) {
	w.hand(func(in *inbox) {
		if !s.queued {
			s.queued = true
			in.ready = append(in.ready, s)
		}
	})
}

// run works until stop is closed.
func (w *writer) run(stop <-chan struct{}) {
	tick := time.NewTicker(w.tick)
	defer tick.Stop()
	defer w.wake.Stop()
	for {
		select {
		case <-w.kick:
			w.work()
		case <-w.wake.C:
			w.serveRested()
		case <-tick.C:
			w.walk()
		case <-stop:
			w.work()
			for len(w.all) > 0 {
				w.remove(w.all[len(w.all)-1])
			}
			return
		}
	}
}

// work does what has been handed in.
func (w *writer) work() {
	w.mu.Lock()
	in := w.inbox
	w.inbox = inbox{}
	for _, s := range in.ready {
		s.queued = false
	}
	w.mu.Unlock()
	for _, p := range in.joins {
		w.seat(p)
	}
	for _, e := range in.events {
		w.handle(e)
	}
	for _, s := range in.ready {
		w.serve(s)
	}
	for _, e := range in.evict {
		w.throwOut(e)
	}
	if in.leave != nil {
		w.beginLeave(*in.leave)
		w.goOnLeaving()
	}
}

// handle does what the poller saw.
func (w *writer) handle(e event) {
	switch p := e.stream; {
	case p.gone:
	case e.closed:
		w.remove(p)
	case e.readable:
		p.readable = true
		if !p.poll.waiting {
			w.nextRequest(p)
		}
	case p.blocked:
		w.catchUp(p)
	}
}

// walk ends the polls that are due, and looks after the next part of the
// streams: heartbeats, and those that have been full for too long.
func (w *writer) walk() {
	w.now++
	w.ms = time.Now().UnixMilli()
	w.forgetEvicted()
	if w.leaving.begun {
		w.goOnLeaving()
	}
	for len(w.due[w.now]) > 0 {
		if p := w.due[w.now][0]; p.poll.waiting {
			w.answerNothing(p, Answered)
		} else {
			w.remove(p)
		}
	}
	delete(w.due, w.now)
	for range len(w.all)/int(w.round) + 1 {
		if len(w.all) == 0 {
			return
		}
		w.walked = (w.walked + 1) % len(w.all)
		w.lookAfter(w.all[w.walked])
	}
}

func (w *writer) lookAfter(p *parked) {
	quiet := w.now - p.written
	switch {
	case p.poll != nil:
	case p.over(w.ms):
		w.goodbye(p, p.why)
	case p.blocked && time.Duration(quiet)*w.tick > writeTimeout:
		w.remove(p)
	case p.blocked && p.behind():
		w.goodbye(p, Slow)
	case !p.blocked && quiet+w.roundTicks() >= w.steps:
		w.beat(p)
	}
}

// roundTicks is how many ticks lie at most between two looks at a stream.
func (w *writer) roundTicks() uint32 { return min(w.round, uint32(len(w.all))) }

// beat writes a heartbeat.
func (w *writer) beat(p *parked) {
	beat := w.heartbeat[p.format]
	switch n, err := p.write(beat); {
	case err != nil, 0 < n && n < len(beat): // part of one: full, and silent for so long
		w.remove(p)
	case n > 0:
		p.written = w.now
	}
}
