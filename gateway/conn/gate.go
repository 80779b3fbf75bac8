package conn

import (
	"context"
	"sync"
)

// gate counts what is under way, until it is closed. It is a sync.WaitGroup whose
// wait ends with a context, and which something may still try to enter then. The
// zero value is open.
type gate struct {
	mu     sync.Mutex // guards all below
	inside int
	empty  chan struct{} // closed when nothing is inside of a closed gate; nil: it is open
}

// enter reports whether the gate is open. If so, leave must be called.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.empty != nil {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 && g.empty != nil {
		close(g.empty)
	}
}

// close lets nothing in any more, and waits until nothing is inside or ctx ends.
// It returns how much is left. It is called once.
func (g *gate) close(ctx context.Context) (left int) {
	g.mu.Lock()
	g.empty = make(chan struct{})
	if g.inside == 0 {
		close(g.empty)
	}
	g.mu.Unlock()
	select {
	case <-g.empty:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside
}
