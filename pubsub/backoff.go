package pubsub

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff waits 50 ms, then twice as long each time up to 2 s, less up to half
// of it by chance.
type backoff struct{ next time.Duration }

const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 2 * time.Second
)

func newBackoff() *backoff { return &backoff{next: minBackoff} }

func (b *backoff) reset() { b.next = minBackoff }

// step is the time to wait now.
func (b *backoff) step() time.Duration {
	d := b.next
	b.next = min(2*b.next, maxBackoff)
	return d - rand.N(d/2)
}

func (b *backoff) wait(ctx context.Context) {
	t := time.NewTimer(b.step())
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
