package conn

import (
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"golang.org/x/sys/unix"

	"comet/gateway/wire"
)

// A writer looks up at every tick, at least minSteps times a heartbeat: it
// walks through its streams in the time of 1/rounds of a heartbeat, which
// spreads the heartbeats, and a stream that would be late by the next round
// gets its own in this one. A round takes maxRound at most. What has a time of
// its own, the end of a poll or a session, comes at the tick after it.
const (
	minSteps = 32
	rounds   = 8
	maxTick  = 100 * time.Millisecond
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

	elapsed     func() time.Duration // since the writer was made
	socketWrite func(fd int, data []byte) (int, error)

	maxRest    time.Duration
	tally      *tally
	population population
	count      atomic.Int64  // of all
	empty      chan struct{} // closed when a leave has ended all

	mu    sync.Mutex // guards all below and shard.queued
	inbox inbox
	ended bool // nothing is taken in any more

	// Owned by run.
	all       []*parked
	now       uint32   // counts ticks
	ms        int64    // the time of the last tick, Unix ms
	walked    int      // how far the walk of this round is
	flushing  bool     // a flush pass is under way
	idle      idleList // connections between two polls
	resting   []*shard // that have grown
	leaving   leaving
	evicted   map[unique.Handle[string]]eviction // lately
	due       map[uint32][]*parked               // by the tick at which to look at them
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
	shed   int            // how many connections that rest are to be closed
}

func newWriter(p *Parker, number int) *writer {
	tick := min(p.Heartbeat/minSteps, maxTick)
	steps := uint32(p.Heartbeat / tick)
	w := &writer{
		parker: p, number: number, tick: tick, steps: steps, round: min(steps/rounds, uint32(maxRound/tick)),
		kick: make(chan struct{}, 1), empty: make(chan struct{}), wake: time.NewTimer(0), maxRest: maxRest,
		tally: &p.ledger.tallies[number],
		due:   make(map[uint32][]*parked), evicted: make(map[unique.Handle[string]]eviction),
	}
	made := time.Now()
	w.elapsed = func() time.Duration { return time.Since(made) }
	w.socketWrite = unix.Write
	w.wake.Stop()
	for f := range w.heartbeat {
		w.heartbeat[f] = appendChunk(nil, wire.Format(f).AppendHeartbeat(nil))
	}
	return w
}

// hand lets put put something into the inbox, and wakes the writer. It is false,
// and put is not called, after the writer has ended.
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

// add hands in what has joined its feeds and has its connection.
func (w *writer) add(p *parked) {
	if !w.hand(func(in *inbox) { in.joins = append(in.joins, p) }) {
		w.parker.abandon(p)
	}
}

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
		case <-stop:
			w.end()
			return
		}
		w.keepTime()
	}
}

// end takes in the last, closes all, and takes nothing after it.
func (w *writer) end() {
	for ended := false; !ended; {
		w.work()
		for len(w.all) > 0 {
			w.remove(w.all[len(w.all)-1])
		}
		w.mu.Lock()
		ended = len(w.inbox.joins) == 0
		w.ended = ended
		w.mu.Unlock()
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
	for i, p := range in.joins {
		w.seat(p)
		w.lookUp(i)
	}
	for i, e := range in.events {
		w.handle(e)
		w.lookUp(i)
	}
	for i, s := range in.ready {
		w.serve(s)
		w.lookUp(i)
	}
	w.workUrgent(&in)
}

// lookUp looks at the clock after some of the steps of a long piece of work.
func (w *writer) lookUp(step int) {
	if step%lookEvery == lookEvery-1 {
		w.keepTime()
	}
}

// workUrgent does what does not wait for the end of a flush pass.
func (w *writer) workUrgent(in *inbox) {
	for _, e := range in.evict {
		w.throwOut(e)
	}
	w.shed(in.shed)
	if in.leave != nil {
		w.beginLeave(*in.leave)
		w.goOnLeaving()
	}
}

// takeUrgent does what is urgent of what has been handed in meanwhile.
func (w *writer) takeUrgent() {
	w.mu.Lock()
	in := inbox{evict: w.inbox.evict, leave: w.inbox.leave, shed: w.inbox.shed}
	w.inbox.evict, w.inbox.leave, w.inbox.shed = nil, nil, 0
	w.mu.Unlock()
	w.workUrgent(&in)
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

// walk is one tick: it ends what is due, and looks after the next part of the
// streams: heartbeats, and those that are slow.
func (w *writer) walk() {
	w.now++
	w.ms = time.Now().UnixMilli()
	w.forgetEvicted()
	w.takeUrgent()
	if w.leaving.begun {
		w.goOnLeaving()
	}
	w.endDue()
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
	case p.over(w.ms): // its end came nearer as the wall clock was set
		w.goodbye(p, p.why.bye())
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
