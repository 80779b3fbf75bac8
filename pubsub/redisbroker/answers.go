package redisbroker

import (
	"context"
	"errors"
	"sync"
	"time"

	"comet/pubsub"
)

// answers are the pages of a Read. They come from each primary together, and
// are taken when all have come or the context ends: a connection that waits for
// Redis does not notice that.
type answers struct {
	done chan struct{} // closed when all have come

	mu    sync.Mutex
	over  bool // they were taken
	pages []pubsub.Page
}

func newAnswers(n int) *answers {
	return &answers{done: make(chan struct{}), pages: make([]pubsub.Page, n)}
}

// fail takes the error of the page with index i.
func (a *answers) fail(i int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.over {
		a.pages[i].Err = readError(err)
	}
}

// put takes the pages at the given indices.
func (a *answers) put(at []int, pages []pubsub.Page) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	for _, i := range at {
		a.pages[i] = pages[i]
	}
}

// lateAnswers is how long to wait, at the end of a context's time, for
// connections that end by the same time: they tell what went wrong, and what had
// come before.
const lateAnswers = 100 * time.Millisecond

// wait returns the pages. Those that have not come have ctx's error.
func (a *answers) wait(ctx context.Context) []pubsub.Page {
	select {
	case <-a.done:
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			late := time.NewTimer(lateAnswers)
			defer late.Stop()
			select {
			case <-a.done:
			case <-late.C:
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	for i := range a.pages {
		if p := &a.pages[i]; p.Gen == 0 && p.Err == nil {
			p.Err = readError(context.Cause(ctx))
		}
	}
	return a.pages
}
