package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"comet/pubsub"
)

const (
	// confirmedFor is how long a confirmation counts, so that 15,000 channels need
	// not ask for one each.
	confirmedFor = time.Second
	// refusedFor is how long a refusal counts. It says nothing untrue of anyone:
	// readers only wait longer.
	refusedFor = 500 * time.Millisecond
	// wantedFor is how long a takeover that is not confirmed is asked about after
	// the last reader that needed it.
	wantedFor = time.Minute
)

// transition is what is confirmed: that readers may go from one generation to
// another. It says nothing of a reader from a third one, which may be newer than
// the confirmation.
type transition struct{ from, to pubsub.Epoch }

// errMovedOn refuses a page whose primary has begun another generation since. It
// says nothing of the takeover: the next page will be of that generation.
var errMovedOn = errors.New("it has begun another generation since")

// confirmations are the answers to Broker.confirm of late, and the primaries whose
// takeover is not confirmed.
type confirmations struct {
	flights singleflight.Group // by transition

	mu      sync.Mutex
	granted map[transition]time.Time
	waiting map[*primary]*waiting

	checking sync.Mutex // held by recheck, guards warned
	warned   bool       // that a takeover waits for too long
}

// waiting is a takeover that is refused, to readers from everywhere.
type waiting struct {
	to      pubsub.Epoch // in which the primary answered last
	since   time.Time    // of the first refusal
	asked   time.Time    // of the newest refusal
	wanted  time.Time    // when a reader last needed it
	because error
}

// recall returns what is known of late; ok is false if it must be asked.
func (c *confirmations) recall(t transition, p *primary) (err error, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.granted[t]) < confirmedFor {
		return nil, true
	}
	if w := c.waiting[p]; w != nil && w.to == t.to {
		w.wanted = now
		return w.because, now.Sub(w.asked) < refusedFor
	}
	return nil, false
}

// note keeps the answer to a question that was asked at a time.
func (c *confirmations) note(t transition, p *primary, at time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if w := c.refuse(p, err); w != nil {
			w.to, w.wanted = t.to, time.Now()
		}
		return
	}
	delete(c.waiting, p)
	if c.granted == nil || len(c.granted) > maxLives {
		c.granted = make(map[transition]time.Time)
	}
	c.granted[t] = at
}

// refuse keeps a refusal, and returns what is kept, if anything; c.mu must be held.
func (c *confirmations) refuse(p *primary, err error) *waiting {
	if errors.Is(err, errMovedOn) {
		delete(c.waiting, p)
		return nil
	}
	if c.waiting == nil {
		c.waiting = make(map[*primary]*waiting)
	}
	w := c.waiting[p]
	if w == nil {
		w = &waiting{since: time.Now()}
		c.waiting[p] = w
	}
	w.asked, w.because = time.Now(), err
	return w
}

// longest returns the primary whose takeover has waited longest, and for how long;
// nil if none waits.
func (c *confirmations) longest() (p *primary, w waiting, age time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for other, one := range c.waiting {
		if p == nil || one.since.Before(w.since) {
			p, w = other, *one
		}
	}
	if p != nil {
		age = time.Since(w.since)
	}
	return p, w, age
}

// keep forgets primaries that are none any more, and those that no reader needs,
// and returns in which generation each of the others answered.
func (c *confirmations) keep(primaries []*primary) map[*primary]pubsub.Epoch {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[*primary]pubsub.Epoch)
	for p, w := range c.waiting {
		if !slices.Contains(primaries, p) || time.Since(w.wanted) > wantedFor {
			delete(c.waiting, p)
		} else {
			all[p] = w.to
		}
	}
	return all
}

// believe returns nil if a page may be given to its reader: one that is in
// another generation could be led back into a log that was replaced. p is the
// primary that answered. The error wraps pubsub.ErrUnconfirmed.
func (b *Broker) believe(ctx context.Context, p *primary, q *pubsub.Query, page *pubsub.Page) error {
	if q.Epoch == 0 || q.Epoch == page.Epoch || !b.topology.moves() {
		return nil
	}
	if !b.sharded() && slices.Contains(page.Epochs.Same, q.Epoch) {
		return nil // the same life: it is what it was
	}
	if err := b.confirm(ctx, p, transition{q.Epoch, page.Epoch}); err != nil {
		return fmt.Errorf("%w: %s: %v", pubsub.ErrUnconfirmed, p.address, err)
	}
	return nil
}

// confirm returns nil if p, which answered from a generation that the reader is
// not in, is the primary in the view of others. One that was frozen or cut off
// while a replica took over does not know that it was replaced, answers until it
// is told, and would have clients go back into its log (found by package
// gateway/failure). All who wait for the same answer ask once.
func (b *Broker) confirm(ctx context.Context, p *primary, t transition) error {
	if err, ok := b.confirmed.recall(t, p); ok {
		return err
	}
	b.busy.Add(1) // the caller has called startCall
	answer := b.confirmed.flights.DoChan(fmt.Sprint(p.id, p.address, t), func() (any, error) {
		at := time.Now()
		ctx, cancel := context.WithTimeout(b.ctx, b.options.Timeout)
		defer cancel()
		err := b.topology.confirm(ctx, p, t.to)
		b.confirmed.note(t, p, at, err)
		return nil, err
	})
	select {
	case a := <-answer:
		b.busy.Done()
		return a.Err
	case <-ctx.Done():
		go func() {
			<-answer
			b.busy.Done()
		}()
		return context.Cause(ctx)
	}
}

// recheck asks again about takeovers that are not confirmed, whether or not
// readers come, so that readiness says what is true; and warns once of one that
// waits for too long.
func (b *Broker) recheck(ctx context.Context) {
	if !b.confirmed.checking.TryLock() {
		return // it is being done
	}
	defer b.confirmed.checking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	for p, to := range b.confirmed.keep(b.topology.known()) {
		err := b.topology.confirm(ctx, p, to)
		b.confirmed.mu.Lock()
		if err == nil {
			delete(b.confirmed.waiting, p)
		} else if b.confirmed.waiting[p] != nil {
			b.confirmed.refuse(p, err)
		}
		b.confirmed.mu.Unlock()
	}
	p, w, age := b.confirmed.longest()
	switch {
	case p == nil && b.confirmed.warned:
		b.confirmed.warned = false
		b.logger.Info("no takeover waits for confirmation any more")
	case p != nil && age > b.options.Timeout && !b.confirmed.warned:
		b.confirmed.warned = true
		b.logger.Warn("the takeover of another redis primary is not confirmed; its channels deliver nothing until it is",
			"address", p.address, "since", w.since, "reason", w.because)
	}
}

// unconfirmed is the error for readiness while a takeover has not been confirmed
// for longer than Options.Timeout.
func (b *Broker) unconfirmed() error {
	p, w, age := b.confirmed.longest()
	if p == nil || age <= b.options.Timeout {
		return nil
	}
	return fmt.Errorf("redis %s: its takeover has not been confirmed for %s: %w", p.address, age.Truncate(time.Second), w.because)
}
