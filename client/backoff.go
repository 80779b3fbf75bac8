package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// backoff is the delay between tries. It doubles from first to longest. Each
// delay is between half of that and all of it, so that clients that failed
// together do not reconnect together.
type backoff struct {
	first, longest time.Duration
	delay          time.Duration // the last one before jitter; 0 at the start
}

// next returns the delay after one more failure. It is at least the delay that
// the server asked for, plus up to a quarter of that.
func (b *backoff) next(asked time.Duration) time.Duration {
	b.delay = min(max(2*b.delay, b.first), b.longest)
	return max(b.delay/2+upTo(b.delay/2), asked+upTo(asked/4))
}

// reset starts again from the first delay, after a success.
func (b *backoff) reset() { b.delay = 0 }

func upTo(d time.Duration) time.Duration { return rand.N(d + 1) }

// askedBy returns the RetryAfter of a failed request, 0 without one.
func askedBy(err error) time.Duration {
	if problem, ok := errors.AsType[*ProblemError](err); ok {
		return problem.RetryAfter
	}
	return 0
}

// sleep pauses for d. It returns early, with the cause, when ctx ends.
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
