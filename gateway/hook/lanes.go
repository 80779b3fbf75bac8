package hook

import (
	"context"
	"sync"
)

// lanes bound the questions of one client in flight, so that slow questions of one
// client leave slots for others.
type lanes struct {
	width int

	mu      sync.Mutex
	byAsker map[identity]*lane
}

// lane exists while a question of its client is in flight or waits.
type lane struct {
	slots     chan struct{}
	questions int
}

// acquire waits for a slot of the client, or for the end of ctx. If ok, leave must be
// called. Keys have no lane, as they ask for many clients.
func (l *lanes) acquire(ctx context.Context, asker identity) (leave func(), ok bool) {
	if asker.key != "" {
		return func() {}, true
	}
	l.mu.Lock()
	one := l.byAsker[asker]
	if one == nil {
		one = &lane{slots: make(chan struct{}, l.width)}
		l.byAsker[asker] = one
	}
	one.questions++
	l.mu.Unlock()
	select {
	case one.slots <- struct{}{}:
		return func() {
			<-one.slots
			l.release(asker, one)
		}, true
	case <-ctx.Done():
		l.release(asker, one)
		return nil, false
	}
}

func (l *lanes) release(asker identity, one *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one.questions--; one.questions == 0 {
		delete(l.byAsker, asker)
	}
}
