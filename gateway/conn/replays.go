package conn

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// replayShare is about the memory of a stream or poll that reads the log: a page of
// messages, their encoding, and buffers.
const replayShare = 256 << 10

// ReplayPage is the bytes of messages that a turn allows for. Their encoding takes as
// much again.
const ReplayPage = replayShare / 2

// DefaultReplayMemory is the memory of all replays of a node, in bytes.
const DefaultReplayMemory = 64 << 20

const (
	// replayQueueTimeout is how long a client waits for a turn.
	replayQueueTimeout = 5 * time.Second
	// replayStallTimeout is how long a replay may make no progress while others wait: its
	// client does not read, or Redis does not answer.
	replayStallTimeout = 3 * time.Second
	// replayCheckInterval is how often clients that wait look for stalled replays.
	replayCheckInterval = 250 * time.Millisecond
	// replayAddressShare is the divisor for one address: it may have that part of all
	// turns and of the queue, so that one that stalls leaves some to others.
	replayAddressShare = 4
	// replayQueue is how many clients may wait, per turn.
	replayQueue = 4
)

// ErrTooManyReplays is returned when a client gets no turn to read the log in time.
var ErrTooManyReplays = errors.New("too many clients are reading the log")

// Replays limits how many streams and polls of a node read the log at a time. A replay
// begins before the first read and ends when the client has all of the log. It may be
// used concurrently.
type Replays struct {
	turns int

	mu        sync.Mutex // guards all below
	running   map[*Replay]struct{}
	used      int                // turns, by running
	waiting   []*Replay          // the first one looks for stalled replays
	turnsOf   map[netip.Addr]int // turns, by address
	waitingOf map[netip.Addr]int
}

// NewReplays returns a Replays that allows about that number of bytes for all replays.
func NewReplays(bytes int64) *Replays {
	return &Replays{
		turns: int(max(1, bytes/replayShare)), running: make(map[*Replay]struct{}),
		turnsOf: make(map[netip.Addr]int), waitingOf: make(map[netip.Addr]int),
	}
}

// Replay is a client that has one or more turns. A nil Replay needs no turn: its methods
// do nothing.
type Replay struct {
	replays *Replays
	address netip.Addr
	turn    chan struct{} // closed when the client gets it
	cancel  context.CancelCauseFunc

	// Guarded by replays.mu.
	turns    int
	progress time.Time // the last one
	ending   bool      // it was cancelled to make room
	ended    bool
}

// Begin waits for a turn for a client at an address. The returned context is ctx, and is
// cancelled with Slow if the replay stalls before End while others wait. The error is
// ErrTooManyReplays or the cause of ctx's end.
func (r *Replays) Begin(ctx context.Context, address netip.Addr) (context.Context, *Replay, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &Replay{replays: r, address: address, turn: make(chan struct{}), cancel: cancel}
	if !r.enqueue(p) {
		cancel(nil)
		return ctx, nil, ErrTooManyReplays
	}
	if err := p.await(ctx); err != nil {
		p.End()
		cancel(nil)
		return ctx, nil, err
	}
	return ctx, p, nil
}

// enqueue gives p a turn or puts it in the queue; false: the queue is full.
func (r *Replays) enqueue(p *Replay) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	most := replayQueue * r.turns
	if len(r.waiting) >= most || r.waitingOf[p.address] >= r.shareOfAddress(most) {
		return false
	}
	r.waiting = append(r.waiting, p)
	r.waitingOf[p.address]++
	r.grant()
	return true
}

// shareOfAddress is the part of all that an address may have.
func (r *Replays) shareOfAddress(all int) int { return max(1, all/replayAddressShare) }

// await waits for p's turn.
func (p *Replay) await(ctx context.Context) error {
	select {
	case <-p.turn: // nearly always, and needs no timer
		return nil
	default:
	}
	late := time.NewTimer(replayQueueTimeout)
	defer late.Stop()
	look := time.NewTicker(replayCheckInterval)
	defer look.Stop()
	for {
		select {
		case <-p.turn:
			return nil
		case <-late.C:
			return ErrTooManyReplays
		case <-ctx.Done():
			return context.Cause(ctx)
		case now := <-look.C:
			p.replays.endStalled(p, now)
		}
	}
}

// grant gives free turns to clients that wait, in order, except those of addresses that
// have reached their share. The caller holds mu.
func (r *Replays) grant() {
	for i := 0; i < len(r.waiting) && r.used < r.turns; {
		p := r.waiting[i]
		if !r.allows(p.address) {
			i++
			continue
		}
		r.dequeue(i)
		r.running[p] = struct{}{}
		r.addTurn(p)
		p.progress = time.Now()
		close(p.turn)
	}
}

// allows reports whether an address may have another turn, if one is free.
func (r *Replays) allows(address netip.Addr) bool {
	return r.turnsOf[address] < r.shareOfAddress(r.turns)
}

func (r *Replays) addTurn(p *Replay) {
	r.used++
	r.turnsOf[p.address]++
	p.turns++
}

// Grow takes another turn for p, so that it may hold ReplayPage more. It does not wait,
// and returns false if no turn is free for its address. A nil Replay may hold any number.
func (p *Replay) Grow() bool {
	if p == nil {
		return true
	}
	r := p.replays
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.ended || r.used >= r.turns || !r.allows(p.address) {
		return false
	}
	r.addTurn(p)
	return true
}

func (r *Replays) dequeue(i int) {
	address := r.waiting[i].address
	r.waiting = slices.Delete(r.waiting, i, i+1)
	subtract(r.waitingOf, address, 1)
}

func subtract(counts map[netip.Addr]int, key netip.Addr, n int) {
	if counts[key] -= n; counts[key] == 0 {
		delete(counts, key)
	}
}

// endStalled cancels the replays that have stalled longest, until their turns are enough
// for all clients that wait. Only the first one of these, p, does so. If all addresses that
// wait have reached their share, it cancels only replays of these addresses.
func (r *Replays) endStalled(p *Replay, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 || r.waiting[0] != p {
		return
	}
	anyAllowed := slices.ContainsFunc(r.waiting, func(one *Replay) bool { return r.allows(one.address) })
	var stalled []*Replay
	wanted := len(r.waiting)
	for other := range r.running {
		switch {
		case other.ending:
			wanted -= other.turns
		case now.Sub(other.progress) >= replayStallTimeout && (anyAllowed || r.waitingOf[other.address] > 0):
			stalled = append(stalled, other)
		}
	}
	slices.SortFunc(stalled, func(a, b *Replay) int { return a.progress.Compare(b.progress) })
	for _, other := range stalled {
		if wanted <= 0 {
			return
		}
		wanted -= other.turns
		other.ending = true
		other.cancel(Slow)
	}
}

// Progress notes that the client has received something.
func (p *Replay) Progress() {
	if p == nil {
		return
	}
	p.replays.mu.Lock()
	defer p.replays.mu.Unlock()
	p.progress = time.Now()
}

// answerPiece is how many bytes of an answer are written between two calls of Progress.
const answerPiece = 64 << 10

// WriteAnswer writes the body of an answer to p's client in pieces. ctx is from Begin:
// when it ends, the client has endTimeout for the rest. An error means that the client has
// gone or is too slow.
func (p *Replay) WriteAnswer(ctx context.Context, w http.ResponseWriter, body []byte) error {
	defer shortenDeadlineAtEnd(ctx, http.NewResponseController(w).SetWriteDeadline)()
	for piece := range slices.Chunk(body, answerPiece) {
		if _, err := w.Write(piece); err != nil {
			return err
		}
		p.Progress()
	}
	return nil
}

// End gives back all turns. It may be called more than once. It does not cancel the
// context of Begin.
func (p *Replay) End() {
	if p == nil {
		return
	}
	r := p.replays
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	if _, running := r.running[p]; running {
		delete(r.running, p)
		r.used -= p.turns
		subtract(r.turnsOf, p.address, p.turns)
	} else if i := slices.Index(r.waiting, p); i >= 0 {
		r.dequeue(i)
	}
	r.grant()
}

// ReplayStats has the current numbers of replays.
type ReplayStats struct{ Running, Waiting, Turns int }

// Stats returns the current numbers.
func (r *Replays) Stats() ReplayStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ReplayStats{Running: len(r.running), Waiting: len(r.waiting), Turns: r.turns}
}
