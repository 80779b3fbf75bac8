package hook

import (
	"math"
	"strconv"
	"sync"
	"time"
)

// Bounds of a batch.
const (
	maxBatch = 100         // events
	maxDelay = time.Second // of the first of them
)

// forever is a wait that ends by being woken.
const forever = time.Duration(math.MaxInt64)

// queue has the events that are still to be told. Many put, one takes.
type queue struct {
	node  string
	run   string // of this process; begins every ID
	limit int
	wake  chan struct{} // has one item if next may give more than it did

	mu      sync.Mutex
	closed  bool
	number  int64   // of the newest ID
	events  []Event // oldest first
	inHand  int64   // taken, and neither told nor lost yet
	untold  int64   // lost, and no batch that was told said so
	told    int64
	dropped int64
}

func newQueue(node, run string, limit int) *queue {
	return &queue{node: node, run: run, limit: max(limit, maxBatch), wake: make(chan struct{}, 1)}
}

// put adds e; the oldest one goes if there is no room.
func (q *queue) put(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		q.dropped++
		return
	}
	if len(q.events) >= q.limit {
		q.events = q.events[1:]
		q.lose(1)
	}
	q.events = append(q.events, q.label(e))
	if n := len(q.events); n == 1 || n == maxBatch {
		q.wakeUp()
	}
}

// label needs mu.
func (q *queue) label(e Event) Event {
	q.number++
	e.ID = q.run + "-" + strconv.FormatInt(q.number, 10)
	e.Time = time.Now().UTC().Truncate(time.Millisecond)
	e.Node = q.node
	return e
}

// lose needs mu.
func (q *queue) lose(n int64) {
	q.untold += n
	q.dropped += n
}

func (q *queue) wakeUp() {
	select {
	case q.wake <- struct{}{}:
	default: // it is awake already
	}
}

// next is the next batch, to settle; nil: none for so long, unless woken, or,
// if wait is 0, never more: closed and empty. After close everything is due. A
// batch begins by telling what was lost before it.
func (q *queue) next() (batch []Event, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) == 0 {
		if q.closed {
			return nil, 0
		}
		return nil, forever
	}
	// The clock may have been set: then too early is better than never.
	wait = maxDelay - min(maxDelay, time.Since(q.events[0].Time).Abs())
	if wait > 0 && len(q.events) < maxBatch && !q.closed {
		return nil, wait
	}
	if q.untold > 0 {
		batch = append(batch, q.label(Event{Kind: Dropped, Count: q.untold}))
		q.untold = 0
	}
	n := min(len(q.events), maxBatch-len(batch))
	batch = append(batch, q.events[:n]...)
	if q.events = q.events[n:]; len(q.events) == 0 {
		q.events = nil // it may have been a long queue
	}
	q.inHand = int64(n)
	return batch, 0
}

// settle ends what next began: the batch was told, or never will be.
func (q *queue) settle(batch []Event, told bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if told {
		q.told += q.inHand
	} else {
		q.lose(q.inHand)
		if batch[0].Kind == Dropped {
			q.untold += batch[0].Count
		}
	}
	q.inHand = 0
}

// close makes the rest due. What is put later is lost.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wakeUp()
}

// abandon loses everything that is left, and says how much that was.
func (q *queue) abandon() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := int64(len(q.events)) + q.inHand
	q.lose(n)
	q.events, q.inHand = nil, 0
	return n
}

func (q *queue) stats() (told, dropped, waiting int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.told, q.dropped, int64(len(q.events)) + q.inHand
}
