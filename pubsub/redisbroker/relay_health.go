package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// health is what the probes found out, by connection.
type health struct {
	mu     sync.Mutex
	conns  map[pubsubConnKey]*connHealth
	search error // why no primary was found, when last asked; nil: some were
}

type connHealth struct {
	heardAt time.Time     // of the last probe that came back; zero: none yet
	trip    time.Duration // that it took, through Redis and back
	err     error         // of what went wrong since
}

// Ready reports, without asking Redis, whether publishes, the relay and reads
// work: nil if a probe of every connection came back a short time ago and no takeover
// waits for its confirmation for longer than Options.Timeout. It may be called
// at any time; the error says what is wrong.
func (b *Broker) Ready() error {
	if err := b.health.ready(time.Now(), probeEvery+b.options.Timeout); err != nil {
		return err
	}
	if err := b.topology.whole(); err != nil {
		return err
	}
	return b.unconfirmedTakeover()
}

// RelayAge is how long ago the oldest of the connections' newest probes came back;
// ok is false if one has none yet.
func (b *Broker) RelayAge() (age time.Duration, ok bool) { return b.health.age(time.Now()) }

// RelayDelay is how long the newest probe of the slowest connection took through Redis
// and back; ok is false if a connection has none yet.
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

// searched keeps what came of asking for the primaries.
func (h *health) searched(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.search = err
}

// keep makes these the connections there are.
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

// change changes what is known of a connection, unless that is no more.
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

// failed says that the connection ended; the next one has heard nothing yet.
func (h *health) failed(key pubsubConnKey, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	h.change(key, func(c *connHealth) { *c = connHealth{err: err} })
}
