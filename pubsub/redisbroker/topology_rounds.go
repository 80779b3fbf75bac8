package redisbroker

import (
	"context"
	"sync"
)

// rounds runs one function for all who want its result: one at a time, and
// those who need a result that is no older than their question share the next
// one.
type rounds[T any] struct {
	run func() (T, error) // ends soon by itself

	mu      sync.Mutex
	now     *round[T] // being run; nil: none
	next    *round[T] // to be run after it; nil: nobody waits for it
	running sync.WaitGroup
	closed  bool
}

type round[T any] struct {
	done   chan struct{} // closed when the rest is set
	result T
	err    error
}

// do waits for a result until ctx ends. A fresh one was begun after the call.
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

// work runs one, and then others as long as there is a next one.
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

// close lets no more rounds begin, and waits for those that are wanted.
func (r *rounds[T]) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.running.Wait()
}
