package conn

import (
	"context"
	"sync"
)

// gate counts operations until it is closed. Other than a sync.WaitGroup, its wait ends
// with a context, and enter may be called at any time. The zero value is open.
type gate struct {
	mu     sync.Mutex // guards all below
	inside int
	empty  chan struct{} // nil: the gate is open; closed when it is closed and inside is 0
}

// enter reports whether the gate is open. If so, call leave later.
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

// close makes enter return false, and waits until all have left or ctx ends. It returns
// how many are left. Call it once.
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
