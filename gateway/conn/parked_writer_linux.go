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
	minHeartbeatTicks  = 32
	checksPerHeartbeat = 8
	maxTick            = 100 * time.Millisecond
	maxCheckTime       = 3 * time.Second
)

// writer writes to its share of what is parked, with one goroutine.
type writer struct {
	parker         *Parker
	number         int
	tick           time.Duration
	heartbeatTicks uint32        // ticks in a heartbeat
	checkTicks     uint32        // ticks in a round
	kick           chan struct{} // holds a token while there is something to do
	deferTimer     *time.Timer   // set while shards rest, for the first that has rested

	elapsed     func() time.Duration // since the writer was made
	socketWrite func(fd int, data []byte) (int, error)

	maxDefer time.Duration
	counters *writeCounters
	gauges   gauges
	count    atomic.Int64  // of all
	drained  chan struct{} // closed when a leave has ended all

	mu    sync.Mutex // guards all below and shard.queued
	inbox inbox
	ended bool // nothing is taken in any more

	// Owned by run.
	all       []*parked
	now       uint32   // counts ticks
	ms        int64    // the time of the last tick, Unix ms
	nextCheck int      // how far the walk of this round is
	flushing  bool     // a flush pass is under way
	idle      idleList // connections between two polls
	deferred  []*shard // that have grown
	draining  draining
	revoked   map[unique.Handle[string]]revocation // lately
	due       map[uint32][]*parked                 // by the tick at which to look at them
	heartbeat [wire.Formats][]byte                 // by format
	scratch   []byte
	dated     time.Time // when dateText was right
	dateText  string
	input     [8 << 10]byte // of one read
}

// inbox is what others hand in.
type inbox struct {
	added     []*parked
	events    []event
	grown     []*shard // with feeds that have grown
	revoke    []revocation
	drain     *time.Duration // the spread of a leave that has just been asked for
	closeIdle int            // how many connections that rest are to be closed
}

func newWriter(p *Parker, number int) *writer {
	tick := min(p.Heartbeat/minHeartbeatTicks, maxTick)
	steps := uint32(p.Heartbeat / tick)
	w := &writer{
		parker: p, number: number, tick: tick, heartbeatTicks: steps, checkTicks: min(steps/checksPerHeartbeat, uint32(maxCheckTime/tick)),
		kick: make(chan struct{}, 1), drained: make(chan struct{}), deferTimer: time.NewTimer(0), maxDefer: maxDefer,
		counters: &p.counters.each[number],
		due:      make(map[uint32][]*parked), revoked: make(map[unique.Handle[string]]revocation),
	}
	made := time.Now()
	w.elapsed = func() time.Duration { return time.Since(made) }
	w.socketWrite = unix.Write
	w.deferTimer.Stop()
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
	if !w.hand(func(in *inbox) { in.added = append(in.added, p) }) {
		w.parker.abandon(p)
	}
}

// post hands in what the poller saw.
func (w *writer) post(e event) { w.hand(func(in *inbox) { in.events = append(in.events, e) }) }

// feedGrown says that s's feed has.
func (w *writer) feedGrown(s *shard) {
	w.hand(func(in *inbox) {
		if !s.queued {
			s.queued = true
			in.grown = append(in.grown, s)
		}
	})
}

// run works until stop is closed.
func (w *writer) run(stop <-chan struct{}) {
	tick := time.NewTicker(w.tick)
	defer tick.Stop()
	defer w.deferTimer.Stop()
	for {
		select {
		case <-w.kick:
			w.work()
		case <-w.deferTimer.C:
			w.flushDeferred()
		case <-tick.C:
		case <-stop:
			w.closeAll()
			return
		}
		w.keepTime()
	}
}

// closeAll takes in the last, closes all, and takes nothing after it.
func (w *writer) closeAll() {
	for ended := false; !ended; {
		w.work()
		for len(w.all) > 0 {
			w.close(w.all[len(w.all)-1])
		}
		w.mu.Lock()
		ended = len(w.inbox.added) == 0
		w.ended = ended
		w.mu.Unlock()
	}
}

// work does what has been handed in.
func (w *writer) work() {
	w.mu.Lock()
	in := w.inbox
	w.inbox = inbox{}
	for _, s := range in.grown {
		s.queued = false
	}
	w.mu.Unlock()
	for i, p := range in.added {
		w.register(p)
		w.keepTimeEvery(i)
	}
	for i, e := range in.events {
		w.handle(e)
		w.keepTimeEvery(i)
	}
	for i, s := range in.grown {
		w.flushOrDefer(s)
		w.keepTimeEvery(i)
	}
	w.workUrgent(&in)
}

// keepTimeEvery looks at the clock after some of the steps of a long piece of work.
func (w *writer) keepTimeEvery(step int) {
	if step%keepTimeSteps == keepTimeSteps-1 {
		w.keepTime()
	}
}

// workUrgent does what does not wait for the end of a flush pass.
func (w *writer) workUrgent(in *inbox) {
	for _, e := range in.revoke {
		w.closeRevoked(e)
	}
	w.closeIdlePolls(in.closeIdle)
	if in.drain != nil {
		w.beginDrain(*in.drain)
		w.drainStep()
	}
}

// takeUrgent does what is urgent of what has been handed in meanwhile.
func (w *writer) takeUrgent() {
	w.mu.Lock()
	in := inbox{revoke: w.inbox.revoke, drain: w.inbox.drain, closeIdle: w.inbox.closeIdle}
	w.inbox.revoke, w.inbox.drain, w.inbox.closeIdle = nil, nil, 0
	w.mu.Unlock()
	w.workUrgent(&in)
}

// handle does what the poller saw.
func (w *writer) handle(e event) {
	switch p := e.conn; {
	case p.removed:
	case e.closed:
		w.close(p)
	case e.readable:
		p.readable = true
		if !p.poll.waiting {
			w.readNextPoll(p)
		}
	case p.blocked:
		w.catchUp(p)
	}
}

// advance is one tick: it ends what is due, and looks after the next part of the
// streams: heartbeats, and those that are slow.
func (w *writer) advance() {
	w.now++
	w.ms = time.Now().UnixMilli()
	w.forgetRevoked()
	w.takeUrgent()
	if w.draining.begun {
		w.drainStep()
	}
	w.runDue()
	for range len(w.all)/int(w.checkTicks) + 1 {
		if len(w.all) == 0 {
			return
		}
		w.nextCheck = (w.nextCheck + 1) % len(w.all)
		w.check(w.all[w.nextCheck])
	}
}

func (w *writer) check(p *parked) {
	quiet := w.now - p.writtenTick
	switch {
	case p.poll != nil:
	case p.expired(w.ms): // its end came nearer as the wall clock was set
		w.closeStream(p, p.reason.reason())
	case p.blocked && p.outrun():
		w.closeStream(p, Slow)
	case !p.blocked && quiet+w.checkInterval() >= w.heartbeatTicks:
		w.sendHeartbeat(p)
	}
}

// checkInterval is how many ticks lie at most between two looks at a stream.
func (w *writer) checkInterval() uint32 { return min(w.checkTicks, uint32(len(w.all))) }

// sendHeartbeat writes a heartbeat.
func (w *writer) sendHeartbeat(p *parked) {
	beat := w.heartbeat[p.format]
	switch n, err := p.write(beat); {
	case err != nil, 0 < n && n < len(beat): // part of one: full, and silent for so long
		w.close(p)
	case n > 0:
		p.writtenTick = w.now
	}
}
