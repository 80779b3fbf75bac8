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
	// quorumTTL is how long a confirmation counts, so that 15,000 channels need
	// not ask for one each.
	quorumTTL = time.Second
	// refusalTTL is how long a refusal counts. It says nothing untrue of anyone:
	// readers only wait longer.
	refusalTTL = 500 * time.Millisecond
	// wantedTTL is how long a takeover that is not confirmed is asked about after
	// the last reader that needed it.
	wantedTTL = time.Minute
)

// epochTransition is what is confirmed: that readers may go from one generation to
// another. It says nothing of a reader from a third one, which may be newer than
// the confirmation.
type epochTransition struct{ from, to pubsub.Epoch }

// errNewerEpoch refuses a page whose primary has begun another generation since. It
// says nothing of the takeover: the next page will be of that generation.
var errNewerEpoch = errors.New("it has begun another generation since")

// quorumChecks are the answers to Broker.checkQuorum of late, and the primaries whose
// takeover is not confirmed.
type quorumChecks struct {
	flights singleflight.Group // by transition

	mu      sync.Mutex
	granted map[epochTransition]time.Time
	waiting map[*primary]*takeover

	checking sync.Mutex // held by recheckTakeovers, guards warned
	warned   bool       // that a takeover waits for too long
}

// takeover is a takeover that is refused, to readers from everywhere.
type takeover struct {
	to      pubsub.Epoch // in which the primary answered last
	since   time.Time    // of the first refusal
	asked   time.Time    // of the newest refusal
	wanted  time.Time    // when a reader last needed it
	because error
}

// cached returns what is known of late; ok is false if it must be asked.
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

// record keeps the answer to a question that was asked at a time.
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

// recordRefusal keeps a refusal, and returns what is kept, if anything; c.mu must be held.
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

// oldest returns the primary whose takeover has waited longest, and for how long;
// nil if none waits.
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

// prune forgets primaries that are none any more, and those that no reader needs,
// and returns in which generation each of the others answered.
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

// checkEpoch returns nil if a page may be given to its reader: one that is in
// another generation could be led back into a log that was replaced. p is the
// primary that answered. The error wraps pubsub.ErrUnconfirmed.
func (b *Broker) checkEpoch(ctx context.Context, p *primary, q *pubsub.Query, page *pubsub.Page) error {
	if q.Epoch == 0 || q.Epoch == page.Epoch || !b.topology.moves() {
		return nil
	}
	if !b.sharded() && slices.Contains(page.Epochs.Same, q.Epoch) {
		return nil // the same life: it is what it was
	}
	if err := b.checkQuorum(ctx, p, epochTransition{q.Epoch, page.Epoch}); err != nil {
		return fmt.Errorf("%w: %s: %v", pubsub.ErrUnconfirmed, p.address, err)
	}
	return nil
}

// checkQuorum returns nil if p, which answered from a generation that the reader is
// not in, is the primary in the view of others. One that was frozen or cut off
// while a replica took over does not know that it was replaced, answers until it
// is told, and would have clients go back into its log (found by package
// gateway/failure). All who wait for the same answer ask once.
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

// recheckTakeovers asks again about takeovers that are not confirmed, whether or not
// readers come, so that readiness says what is true; and warns once of one that
// waits for too long.
func (b *Broker) recheckTakeovers(ctx context.Context) {
	if !b.quorum.checking.TryLock() {
		return // it is being done
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
		b.logger.Info("no takeover waits for confirmation any more")
	case p != nil && age > b.options.Timeout && !b.quorum.warned:
		b.quorum.warned = true
		b.logger.Warn("the takeover of another redis primary is not confirmed; its channels deliver nothing until it is",
			"address", p.address, "since", w.since, "reason", w.because)
	}
}

// unconfirmedTakeover is the error for readiness while a takeover has not been confirmed
// for longer than Options.Timeout.
func (b *Broker) unconfirmedTakeover() error {
	p, w, age := b.quorum.oldest()
	if p == nil || age <= b.options.Timeout {
		return nil
	}
	return fmt.Errorf("redis %s: its takeover has not been confirmed for %s: %w", p.address, age.Truncate(time.Second), w.because)
}
