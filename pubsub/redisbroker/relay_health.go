package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// health is the result of the newest probes, by connection.
type health struct {
	mu     sync.Mutex
	conns  map[pubsubConnKey]*connHealth
	search error // of the newest search for primaries
}

type connHealth struct {
	heardAt time.Time     // when the newest probe came back; zero before the first one
	trip    time.Duration // of that probe, through Redis and back
	err     error         // the newest error since
}

// Ready returns nil if publishes, the relay and reads work, and otherwise an error that
// says what does not: a probe of each connection has come back a short time ago, every
// slot has a primary, and no takeover has been unconfirmed for longer than
// Options.Timeout. It does not ask Redis, and may be called at any time.
func (b *Broker) Ready() error {
	if err := b.health.ready(time.Now(), probeEvery+b.options.Timeout); err != nil {
		return err
	}
	if err := b.topology.whole(); err != nil {
		return err
	}
	return b.unconfirmedTakeover()
}

// RelayAge returns the time since the newest probe of each connection came back, the
// maximum over all connections. ok is false if a connection has none yet.
func (b *Broker) RelayAge() (age time.Duration, ok bool) { return b.health.age(time.Now()) }

// RelayDelay returns the time that the newest probe of each connection took through Redis
// and back, the maximum over all connections. ok is false if a connection has none yet.
func (b *Broker) RelayDelay() (delay time.Duration, ok bool) { return b.health.delay() }

var errNotConnected = errors.New("not connected to redis yet")

func (h *health) ready(now time.Time, tolerance time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.conns) == 0 {
		if h.search != nil {
			return h.search
		}
		return errNotConnected
	}
	for key, c := range h.conns {
		switch {
		case !c.heardAt.IsZero() && now.Sub(c.heardAt) <= tolerance:
		case c.err != nil:
			return fmt.Errorf("redis %s: %w", key.primary.address, c.err)
		default:
			return fmt.Errorf("redis %s: %w", key.primary.address, errNotConnected)
		}
	}
	return nil
}

func (h *health) age(now time.Time) (age time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		if c.heardAt.IsZero() {
			return 0, false
		}
		age = max(age, now.Sub(c.heardAt))
	}
	return age, len(h.conns) > 0
}

func (h *health) delay() (delay time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		if c.heardAt.IsZero() {
			return 0, false
		}
		delay = max(delay, c.trip)
	}
	return delay, len(h.conns) > 0
}

// searched keeps the error of the newest search for primaries.
func (h *health) searched(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.search = err
}

// keep sets the connections that exist.
func (h *health) keep(keys map[pubsubConnKey]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conns == nil {
		h.conns = make(map[pubsubConnKey]*connHealth)
	}
	for key := range h.conns {
		if !keys[key] {
			delete(h.conns, key)
		}
	}
	for key := range keys {
		if h.conns[key] == nil {
			h.conns[key] = &connHealth{}
		}
	}
}

// change changes the state of a connection, if it still exists.
func (h *health) change(key pubsubConnKey, change func(*connHealth)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.conns[key]; c != nil {
		change(c)
	}
}

func (h *health) heard(key pubsubConnKey, trip time.Duration) {
	h.change(key, func(c *connHealth) { *c = connHealth{heardAt: time.Now(), trip: trip} })
}

func (h *health) unsent(key pubsubConnKey, err error) {
	h.change(key, func(c *connHealth) { c.err = err })
}

// failed sets the error of a connection that ended. No probe of the next one has come
// back yet.
func (h *health) failed(key pubsubConnKey, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	h.change(key, func(c *connHealth) { *c = connHealth{err: err} })
}
