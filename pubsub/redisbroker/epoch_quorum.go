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
	// quorumTTL is how long a passed check counts, so that 15,000 channels share one.
	quorumTTL = time.Second
	// refusalTTL is how long a failed check counts. It may delay readers, but never
	// misleads them.
	refusalTTL = 500 * time.Millisecond
	// wantedTTL is how long an unconfirmed takeover is checked again after the last
	// reader that needed it.
	wantedTTL = time.Minute
)

// epochTransition is a reader's change from one epoch to another, which a quorum check
// allows. It does not hold for a reader from a third epoch, which may be newer than the
// check.
type epochTransition struct{ from, to pubsub.Epoch }

// errNewerEpoch refuses a page because its primary has begun another epoch since. It
// does not refuse the takeover: the next page will be of that epoch.
var errNewerEpoch = errors.New("the primary has begun another epoch")

// quorumChecks holds the results of recent quorum checks, and the takeovers that are not
// confirmed.
type quorumChecks struct {
	flights singleflight.Group // by epochTransition

	mu      sync.Mutex
	granted map[epochTransition]time.Time // when the check that passed was asked for
	waiting map[*primary]*takeover

	checking sync.Mutex // held by recheckTakeovers; guards warned
	warned   bool       // of a takeover that is unconfirmed for too long
}

// takeover is an unconfirmed takeover. It refuses readers from all other epochs.
type takeover struct {
	to      pubsub.Epoch // the epoch in which the primary last answered
	since   time.Time    // of the first refusal
	asked   time.Time    // of the newest refusal
	wanted  time.Time    // when a reader last needed it
	because error        // of the newest refusal
}

// cached returns the result of a recent check. ok is false if there is none.
func (c *quorumChecks) cached(t epochTransition, p *primary) (err error, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.granted[t]) < quorumTTL {
		return nil, true
	}
	if w := c.waiting[p]; w != nil && w.to == t.to {
		w.wanted = now
		return w.because, now.Sub(w.asked) < refusalTTL
	}
	return nil, false
}

// record keeps the result err of a check that was asked for at the time at.
func (c *quorumChecks) record(t epochTransition, p *primary, at time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if w := c.recordRefusal(p, err); w != nil {
			w.to, w.wanted = t.to, time.Now()
		}
		return
	}
	delete(c.waiting, p)
	if c.granted == nil || len(c.granted) > maxEpochs {
		c.granted = make(map[epochTransition]time.Time)
	}
	c.granted[t] = at
}

// recordRefusal keeps a refusal and returns the takeover that it is kept in, nil for
// errNewerEpoch. c.mu must be held.
func (c *quorumChecks) recordRefusal(p *primary, err error) *takeover {
	if errors.Is(err, errNewerEpoch) {
		delete(c.waiting, p)
		return nil
	}
	if c.waiting == nil {
		c.waiting = make(map[*primary]*takeover)
	}
	w := c.waiting[p]
	if w == nil {
		w = &takeover{since: time.Now()}
		c.waiting[p] = w
	}
	w.asked, w.because = time.Now(), err
	return w
}

// oldest returns the takeover that has been unconfirmed longest, its primary and its age.
// p is nil if there is no such takeover.
func (c *quorumChecks) oldest() (p *primary, w takeover, age time.Duration) {
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

// prune removes the takeovers of former primaries and those that no reader needs. It
// returns the epoch of each of the others.
func (c *quorumChecks) prune(primaries []*primary) map[*primary]pubsub.Epoch {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[*primary]pubsub.Epoch)
	for p, w := range c.waiting {
		if !slices.Contains(primaries, p) || time.Since(w.wanted) > wantedTTL {
			delete(c.waiting, p)
		} else {
			all[p] = w.to
		}
	}
	return all
}

// checkEpoch returns nil if the reader of q may have the page, which p answered. A page
// of another epoch than the reader's could be from a log that was replaced since, so it
// needs a quorum check. The error wraps pubsub.ErrUnconfirmed.
func (b *Broker) checkEpoch(ctx context.Context, p *primary, q *pubsub.Query, page *pubsub.Page) error {
	if q.Epoch == 0 || q.Epoch == page.Epoch || !b.topology.moves() {
		return nil
	}
	if !b.sharded() && slices.Contains(page.Epochs.Same, q.Epoch) {
		return nil // another epoch of the same run
	}
	if err := b.checkQuorum(ctx, p, epochTransition{q.Epoch, page.Epoch}); err != nil {
		return fmt.Errorf("%w: %s: %v", pubsub.ErrUnconfirmed, p.address, err)
	}
	return nil
}

// checkQuorum returns nil if p is the primary in the view of the servers that decide, and
// t therefore holds. A primary that was frozen or cut off while a replica took over
// keeps answering until it learns of it, and would lead clients back into its old log
// (found by package gateway/failure). Concurrent calls for the same transition share one
// check.
func (b *Broker) checkQuorum(ctx context.Context, p *primary, t epochTransition) error {
	if err, ok := b.quorum.cached(t, p); ok {
		return err
	}
	b.busy.Add(1) // the caller has called startCall
	answer := b.quorum.flights.DoChan(fmt.Sprint(p.id, p.address, t), func() (any, error) {
		at := time.Now()
		ctx, cancel := context.WithTimeout(b.ctx, b.options.Timeout)
		defer cancel()
		err := b.topology.checkQuorum(ctx, p, t.to)
		b.quorum.record(t, p, at, err)
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

// recheckTakeovers checks unconfirmed takeovers again, even without readers, so that
// readiness is up to date. It warns once if one stays unconfirmed for longer than
// Options.Timeout.
func (b *Broker) recheckTakeovers(ctx context.Context) {
	if !b.quorum.checking.TryLock() {
		return // another call is at work
	}
	defer b.quorum.checking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	for p, to := range b.quorum.prune(b.topology.known()) {
		err := b.topology.checkQuorum(ctx, p, to)
		b.quorum.mu.Lock()
		if err == nil {
			delete(b.quorum.waiting, p)
		} else if b.quorum.waiting[p] != nil {
			b.quorum.recordRefusal(p, err)
		}
		b.quorum.mu.Unlock()
	}
	p, w, age := b.quorum.oldest()
	switch {
	case p == nil && b.quorum.warned:
		b.quorum.warned = false
		b.logger.Info("redis takeovers confirmed")
	case p != nil && age > b.options.Timeout && !b.quorum.warned:
		b.quorum.warned = true
		b.logger.Warn("redis takeover not confirmed; its channels deliver nothing until it is",
			"address", p.address, "since", w.since, "reason", w.because)
	}
}

// unconfirmedTakeover returns an error for readiness if a takeover has been unconfirmed
// for longer than Options.Timeout.
func (b *Broker) unconfirmedTakeover() error {
	p, w, age := b.quorum.oldest()
	if p == nil || age <= b.options.Timeout {
		return nil
	}
	return fmt.Errorf("redis %s: its takeover has not been confirmed for %s: %w", p.address, age.Truncate(time.Second), w.because)
}
