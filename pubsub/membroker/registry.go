package membroker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"comet/pubsub"
)

// registry is what the nodes of a cluster say about themselves.
type registry struct {
	mu      sync.Mutex
	reports map[string]posted
	asked   time.Time // until then somebody asks for channels
}

// posted is a report that is gone at a time.
type posted struct {
	pubsub.NodeReport
	gone time.Time
}

// Announce implements pubsub.NodeRegistry.
func (b *Broker) Announce(_ context.Context, r pubsub.NodeReport, ttl time.Duration) (asked bool, err error) {
	if b.isClosed() {
		return false, pubsub.ErrClosed
	}
	if err := r.Validate(); err != nil {
		return false, err
	}
	registry, now := &b.cluster.registry, time.Now()
	registry.mu.Lock()
	defer registry.mu.Unlock()
	maps.DeleteFunc(registry.reports, func(_ string, p posted) bool { return !now.Before(p.gone) })
	if registry.reports == nil {
		registry.reports = make(map[string]posted)
	}
	registry.reports[r.Node] = posted{r, now.Add(ttl)}
	return now.Before(registry.asked), nil
}

// Withdraw implements pubsub.NodeRegistry.
func (b *Broker) Withdraw(_ context.Context, node string) error {
	if b.isClosed() {
		return pubsub.ErrClosed
	}
	registry := &b.cluster.registry
	registry.mu.Lock()
	defer registry.mu.Unlock()
	delete(registry.reports, node)
	return nil
}

// Nodes implements pubsub.NodeRegistry.
func (b *Broker) Nodes(_ context.Context, ask bool) (all []pubsub.NodeReport, err error) {
	if b.isClosed() {
		return nil, pubsub.ErrClosed
	}
	registry, now := &b.cluster.registry, time.Now()
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if ask {
		registry.asked = now.Add(pubsub.ChannelsAskedFor)
	}
	for _, node := range slices.Sorted(maps.Keys(registry.reports)) {
		if p := registry.reports[node]; now.Before(p.gone) {
			all = append(all, p.NodeReport)
		}
	}
	return all, nil
}
