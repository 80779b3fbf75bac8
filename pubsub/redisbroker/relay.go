package redisbroker

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"comet/pubsub"
)

// wanted is what the relay shall carry.
type wanted struct {
	kick chan struct{} // holds a token while changes may be non-empty

	mu       sync.Mutex
	channels map[string]struct{}
	changes  []change // since the link last took them
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

// take returns the changes since it was last called.
func (w *wanted) take() []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	changes := w.changes
	w.changes = nil
	return changes
}

// all is take for a new link, which has to carry everything.
func (w *wanted) all() []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes = nil
	changes := make([]change, 0, len(w.channels))
	for _, c := range slices.Sorted(maps.Keys(w.channels)) {
		changes = append(changes, change{c, true})
	}
	return changes
}

// Relay implements pubsub.Broker: one link after another until the end. A link
// that failed in any way is thrown away whole, so that what a link carried had
// no hole in it.
func (b *Broker) Relay(ctx context.Context, sink pubsub.Sink) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return pubsub.ErrClosed
	}
	b.busy.Add(1)
	b.mu.Unlock()
	defer b.busy.Done()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()

	wait := minRelink
	level := slog.LevelWarn // of the next failure; those after it say nothing new
	for {
		l := newLink(b, sink)
		err := l.run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if l.carried {
			wait, level = minRelink, slog.LevelWarn
			sink.Lost()
		}
		b.logger.Log(ctx, level, "relay connection to redis failed, will make a new one", "error", err)
		level = slog.LevelDebug
		select {
		case <-time.After(wait - rand.N(wait/2)):
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = min(2*wait, maxRelink)
	}
}

const (
	minRelink = 50 * time.Millisecond
	maxRelink = 2 * time.Second
)
