package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// backoff is how long to wait between tries: doubling from first to longest,
// each between half of that and all, so that clients that failed together do
// not come back together.
type backoff struct {
	first, longest time.Duration
	delay          time.Duration // the last one before jitter; 0 at the start
}

// next is the delay after one more failure, but never less than what the
// server asked for, which is stretched by up to a quarter.
func (b *backoff) next(asked time.Duration) time.Duration {
	b.delay = min(max(2*b.delay, b.first), b.longest)
	return max(b.delay/2+upTo(b.delay/2), asked+upTo(asked/4))
}

// reset follows a success.
func (b *backoff) reset() { b.delay = 0 }

func upTo(d time.Duration) time.Duration { return rand.N(d + 1) }

// askedBy is the wait that a failed request's answer asked for.
func askedBy(err error) time.Duration {
	if problem, ok := errors.AsType[*ProblemError](err); ok {
		return problem.RetryAfter
	}
	return 0
}

// sleep returns early, with the cause, when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
