package redisbroker

import (
	"maps"
	"slices"
	"sync"
)

// wanted is the channels that the hub wants relayed.
type wanted struct {
	kick chan struct{} // holds a token while changes may be non-empty

	mu       sync.Mutex
	channels map[string]struct{}
	changes  []change // since takeChanges was last called
}

type change struct {
	channel string
	carry   bool
}

// Subscribe implements pubsub.Broker.
func (b *Broker) Subscribe(channels ...string) { b.wanted.change(channels, true) }

// Unsubscribe implements pubsub.Broker.
func (b *Broker) Unsubscribe(channels ...string) { b.wanted.change(channels, false) }

func (w *wanted) change(channels []string, carry bool) {
	w.mu.Lock()
	if w.channels == nil {
		w.channels = make(map[string]struct{})
	}
	for _, c := range channels {
		if carry {
			w.channels[c] = struct{}{}
		} else {
			delete(w.channels, c)
		}
		w.changes = append(w.changes, change{c, carry})
	}
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// takeChanges returns and clears the changes.
func (w *wanted) takeChanges() []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	changes := w.changes
	w.changes = nil
	return changes
}

// all returns all wanted channels.
func (w *wanted) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.channels))
}
