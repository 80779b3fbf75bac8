package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// health is what the probes found out, by link.
type health struct {
	mu     sync.Mutex
	links  map[linkKey]*linkHealth
	search error // why no primary was found, when last asked; nil: some were
}

type linkHealth struct {
	heardAt time.Time     // of the last probe that came back; zero: none yet
	trip    time.Duration // that it took, through Redis and back
	err     error         // of what went wrong since
}

// Ready reports, without asking Redis, whether publishes, the relay and reads
// work: nil if a probe of every link came back a short time ago and no takeover
// waits for its confirmation for longer than Options.Timeout. It may be called
// at any time; the error says what is wrong.
func (b *Broker) Ready() error {
	if err := b.health.ready(time.Now(), probeEvery+b.options.Timeout); err != nil {
		return err
	}
	if err := b.topology.whole(); err != nil {
		return err
	}
	return b.unconfirmed()
}

// RelayAge is how long ago the oldest of the links' newest probes came back;
// ok is false if one has none yet.
func (b *Broker) RelayAge() (age time.Duration, ok bool) { return b.health.age(time.Now()) }

// RelayDelay is how long the newest probe of the slowest link took through Redis
// and back; ok is false if a link has none yet.
func (b *Broker) RelayDelay() (delay time.Duration, ok bool) { return b.health.delay() }

var errNoLink = errors.New("not connected to redis yet")

func (h *health) ready(now time.Time, tolerance time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.links) == 0 {
		if h.search != nil {
			return h.search
		}
		return errNoLink
	}
	for key, l := range h.links {
		switch {
		case !l.heardAt.IsZero() && now.Sub(l.heardAt) <= tolerance:
		case l.err != nil:
			return fmt.Errorf("redis %s: %w", key.primary.address, l.err)
		default:
			return fmt.Errorf("redis %s: %w", key.primary.address, errNoLink)
		}
	}
	return nil
}

func (h *health) age(now time.Time) (age time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.links {
		if l.heardAt.IsZero() {
			return 0, false
		}
		age = max(age, now.Sub(l.heardAt))
	}
	return age, len(h.links) > 0
}

func (h *health) delay() (delay time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.links {
		if l.heardAt.IsZero() {
			return 0, false
		}
		delay = max(delay, l.trip)
	}
	return delay, len(h.links) > 0
}

// searched keeps what came of asking for the primaries.
func (h *health) searched(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.search = err
}

// keep makes these the links there are.
func (h *health) keep(keys map[linkKey]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.links == nil {
		h.links = make(map[linkKey]*linkHealth)
	}
	for key := range h.links {
		if !keys[key] {
			delete(h.links, key)
		}
	}
	for key := range keys {
		if h.links[key] == nil {
			h.links[key] = &linkHealth{}
		}
	}
}

// change changes what is known of a link, unless that is no more.
func (h *health) change(key linkKey, change func(*linkHealth)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.links[key]; l != nil {
		change(l)
	}
}

func (h *health) heard(key linkKey, trip time.Duration) {
	h.change(key, func(l *linkHealth) { *l = linkHealth{heardAt: time.Now(), trip: trip} })
}

func (h *health) unsent(key linkKey, err error) {
	h.change(key, func(l *linkHealth) { l.err = err })
}

// failed says that the link ended; the next one has heard nothing yet.
func (h *health) failed(key linkKey, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	h.change(key, func(l *linkHealth) { *l = linkHealth{err: err} })
}
