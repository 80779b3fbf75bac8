package pubsub

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Pauses between two tries while the broker does not answer.
const (
	minLeasePause = 100 * time.Millisecond
	maxLeasePause = 2 * time.Second
)

// run sends changes to the broker, and renews the leases, until ctx ends.
func (p *Presence) run(ctx context.Context) {
	renew := time.NewTicker(p.options.interval())
	defer renew.Stop()
	wake := time.NewTimer(0) // for departures, and to try again
	defer wake.Stop()
	pause := time.Duration(0) // not 0: the broker does not answer
	for {
		select {
		case <-p.wakeup:
			if pause > 0 {
				continue // the retry sends it with the rest
			}
		case <-renew.C:
			p.queueRenewals()
		case <-wake.C:
		case <-ctx.Done():
			return
		}
		next := p.depart(time.Now())
		if p.sendDue(ctx) {
			pause = 0
		} else {
			pause = min(max(2*pause, minLeasePause), maxLeasePause)
			next = pause/2 + rand.N(pause/2)
		}
		if next > 0 {
			wake.Reset(next)
		}
	}
}

// queueRenewals queues every channel, so that its lease is renewed.
func (p *Presence) queueRenewals() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.channels {
		p.queue(r)
	}
}

// depart makes users leave that have been without a connection for Grace, and
// returns how long until the next one may have to leave; 0: none may.
func (p *Presence) depart(now time.Time) (next time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.left) > 0 {
		first := p.left[0]
		if wait := p.options.Grace - now.Sub(first.at); wait > 0 {
			return wait
		}
		p.left = p.left[1:]
		if u := first.user; u.connections == 0 && u.left.Equal(first.at) && !u.going {
			u.going = true
			u.channel.markChanged(u)
			p.queue(u.channel)
		}
	}
	p.left = nil // and its array
	return 0
}

// sendDue sends everything that is due to the broker, in calls of at most MaxMembers
// changes and channels. It reports whether the broker answered all; the rest is
// due again.
func (p *Presence) sendDue(ctx context.Context) (ok bool) {
	for ctx.Err() == nil {
		batch := p.takeDue()
		if len(batch) == 0 {
			p.logFailure(nil)
			return true
		}
		leases := make([]Lease, len(batch))
		for i := range batch {
			leases[i] = batch[i].lease
		}
		answers := p.updateLeases(ctx, leases)
		if err := p.applyResults(batch, answers); err != nil {
			p.logFailure(err)
			return false
		}
	}
	return true
}

// logFailure logs the first of several errors in a row.
func (p *Presence) logFailure(err error) {
	if err != nil && !p.warned && !errors.Is(err, context.Canceled) {
		p.options.Logger.Warn("presence update failed; retrying", "error", err)
	}
	p.warned = err != nil
}

func (p *Presence) updateLeases(ctx context.Context, leases []Lease) []LeaseResult {
	ctx, cancel := context.WithTimeout(ctx, p.options.Timeout)
	defer cancel()
	return p.broker.UpdateLeases(ctx, leases)
}

// takeDue takes what is to be sent next.
func (p *Presence) takeDue() (batch []sent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for budget := MaxMembers; len(p.due) > 0 && budget > 0; {
		r := p.due[0]
		s := r.nextLease(budget, &p.options, now)
		batch = append(batch, s)
		budget -= max(1, s.size())
		// A channel is in one call at a time, so the rest of its changes waits for the
		// answer.
		p.due = p.due[1:]
		r.queued = false
	}
	if len(p.due) == 0 {
		p.due = nil // and its array
	}
	return batch
}

// applyResults takes in the answers. The error is one of them.
func (p *Presence) applyResults(batch []sent, answers []LeaseResult) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for i := range batch {
		s, answer := &batch[i], &answers[i]
		again := s.channel.answered(s, answer, now)
		if answer.Err != nil {
			err = answer.Err
		}
		if again || answer.Err != nil {
			p.queue(s.channel)
		}
		p.tidy(s.channel)
	}
	return err
}
