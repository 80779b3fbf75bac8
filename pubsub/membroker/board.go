package membroker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"comet/pubsub"
)

// board is what the nodes of a cluster say about themselves.
type board struct {
	mu      sync.Mutex
	reports map[string]posted
	asked   time.Time // until then somebody asks for channels
}

// posted is a report that is gone at a time.
type posted struct {
	pubsub.NodeReport
	gone time.Time
}

// Announce implements pubsub.Board.
func (b *Broker) Announce(_ context.Context, r pubsub.NodeReport, ttl time.Duration) (asked bool, err error) {
	if b.isClosed() {
		return false, pubsub.ErrClosed
	}
	if err := r.Validate(); err != nil {
		return false, err
	}
	board, now := &b.cluster.board, time.Now()
	board.mu.Lock()
	defer board.mu.Unlock()
	maps.DeleteFunc(board.reports, func(_ string, p posted) bool { return !now.Before(p.gone) })
	if board.reports == nil {
		board.reports = make(map[string]posted)
	}
	board.reports[r.Node] = posted{r, now.Add(ttl)}
	return now.Before(board.asked), nil
}

// Withdraw implements pubsub.Board.
func (b *Broker) Withdraw(_ context.Context, node string) error {
	if b.isClosed() {
		return pubsub.ErrClosed
	}
	board := &b.cluster.board
	board.mu.Lock()
	defer board.mu.Unlock()
	delete(board.reports, node)
	return nil
}

// Nodes implements pubsub.Board.
func (b *Broker) Nodes(_ context.Context, ask bool) (all []pubsub.NodeReport, err error) {
	if b.isClosed() {
		return nil, pubsub.ErrClosed
	}
	board, now := &b.cluster.board, time.Now()
	board.mu.Lock()
	defer board.mu.Unlock()
	if ask {
		board.asked = now.Add(pubsub.AskFor)
	}
	for _, node := range slices.Sorted(maps.Keys(board.reports)) {
		if p := board.reports[node]; now.Before(p.gone) {
			all = append(all, p.NodeReport)
		}
	}
	return all, nil
}
