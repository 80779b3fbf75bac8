package hook

import (
	"context"
	"sync"
)

// lanes bound how many questions of one asker are under way, so that the slow
// questions of one leave room for those of the others.
type lanes struct {
	width int

	mu    sync.Mutex
	byWho map[who]*lane
}

// lane exists while a question of its asker is under way, or waits.
type lane struct {
	slots     chan struct{}
	questions int
}

// enter waits for a slot of the asker, or for the end of ctx. If ok, leave must
// be called. Keys have no lane: they speak for many.
func (l *lanes) enter(ctx context.Context, asker who) (leave func(), ok bool) {
	if asker.key != "" {
		return func() {}, true
	}
	l.mu.Lock()
	one := l.byWho[asker]
	if one == nil {
		one = &lane{slots: make(chan struct{}, l.width)}
		l.byWho[asker] = one
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

func (l *lanes) release(asker who, one *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one.questions--; one.questions == 0 {
		delete(l.byWho, asker)
	}
}
