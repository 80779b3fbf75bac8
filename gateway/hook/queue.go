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
	maxDelay = time.Second // of the oldest event
)

// forever is a wait that only wake ends.
const forever = time.Duration(math.MaxInt64)

// queue holds the events to deliver. Many goroutines put, one calls next and settle.
type queue struct {
	node  string
	run   string // of this process; the prefix of every ID
	limit int
	wake  chan struct{} // holds one item if next may return more

	mu         sync.Mutex
	closed     bool
	number     int64   // of the newest ID
	events     []Event // oldest first
	inFlight   int64   // returned by next, not settled yet
	unreported int64   // lost, without an event Dropped that was delivered
	delivered  int64
	dropped    int64
}

func newQueue(node, run string, limit int) *queue {
	return &queue{node: node, run: run, limit: max(limit, maxBatch), wake: make(chan struct{}, 1)}
}

// put adds e. If the queue is full, the oldest event is lost.
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

// label sets ID, time and node of an event. The caller holds mu.
func (q *queue) label(e Event) Event {
	q.number++
	e.ID = q.run + "-" + strconv.FormatInt(q.number, 10)
	e.Time = time.Now().UTC().Truncate(time.Millisecond)
	e.Node = q.node
	return e
}

// lose counts lost events. The caller holds mu.
func (q *queue) lose(n int64) {
	q.unreported += n
	q.dropped += n
}

func (q *queue) wakeUp() {
	select {
	case q.wake <- struct{}{}:
	default: // a wake-up is pending
	}
}

// next returns the next batch, which settle must end. Without one, it returns how
// long to wait for it or for wake; 0: the queue is closed and empty. After close
// every event is due. A batch begins with an event Dropped if events were lost.
func (q *queue) next() (batch []Event, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) == 0 {
		if q.closed {
			return nil, 0
		}
		return nil, forever
	}
	// After a change of the clock, a batch is early rather than late.
	wait = maxDelay - min(maxDelay, time.Since(q.events[0].Time).Abs())
	if wait > 0 && len(q.events) < maxBatch && !q.closed {
		return nil, wait
	}
	if q.unreported > 0 {
		batch = append(batch, q.label(Event{Kind: Dropped, Count: q.unreported}))
		q.unreported = 0
	}
	n := min(len(q.events), maxBatch-len(batch))
	batch = append(batch, q.events[:n]...)
	if q.events = q.events[n:]; len(q.events) == 0 {
		q.events = nil // free the memory of a long queue
	}
	q.inFlight = int64(n)
	return batch, 0
}

// settle records whether the batch of next was delivered or is lost.
func (q *queue) settle(batch []Event, delivered bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if delivered {
		q.delivered += q.inFlight
	} else {
		q.lose(q.inFlight)
		if batch[0].Kind == Dropped {
			q.unreported += batch[0].Count
		}
	}
	q.inFlight = 0
}

// close makes every event due. Events that are put later are lost.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wakeUp()
}

// abandon drops all remaining events and returns their number.
func (q *queue) abandon() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := int64(len(q.events)) + q.inFlight
	q.lose(n)
	q.events, q.inFlight = nil, 0
	return n
}

func (q *queue) stats() (delivered, dropped, waiting int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.delivered, q.dropped, int64(len(q.events)) + q.inFlight
}
