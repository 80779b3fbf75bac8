package redisbroker

import (
	"context"
	"sync"
)

// rounds runs a function for concurrent callers that share its results. One round runs at a
// time. Callers that need a fresh result share the next round.
type rounds[T any] struct {
	run func() (T, error) // bounds its own time

	mu      sync.Mutex
	now     *round[T] // under way, or nil
	next    *round[T] // runs after it; nil if no caller needs it
	running sync.WaitGroup
	closed  bool
}

type round[T any] struct {
	done   chan struct{} // closed when the rest is set
	result T
	err    error
}

// do waits for a result until ctx ends. With fresh, its round begins after the call.
func (r *rounds[T]) do(ctx context.Context, fresh bool) (result T, err error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return result, errGone
	}
	one := r.now
	switch {
	case one == nil:
		one = &round[T]{done: make(chan struct{})}
		r.now = one
		r.running.Go(func() { r.work(one) })
	case fresh:
		if r.next == nil {
			r.next = &round[T]{done: make(chan struct{})}
		}
		one = r.next
	}
	r.mu.Unlock()
	select {
	case <-one.done:
		return one.result, one.err
	case <-ctx.Done():
		return result, context.Cause(ctx)
	}
}

// work runs one, and then the next rounds until there is none.
func (r *rounds[T]) work(one *round[T]) {
	for one != nil {
		one.result, one.err = r.run()
		close(one.done)
		r.mu.Lock()
		r.now, r.next = r.next, nil
		one = r.now
		r.mu.Unlock()
	}
}

// close makes later calls of do fail, and waits for the rounds that callers wait for.
func (r *rounds[T]) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.running.Wait()
}
