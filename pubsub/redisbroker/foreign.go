package redisbroker

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"comet/pubsub/measure"
)

// errForeign says that what was read is no message of Comet's.
var errForeign = errors.New("not written by Comet")

// Place is where something was found that is no message.
type Place string

// The places.
const (
	InLog   Place = "log"
	InRelay Place = "relay"
)

// Places are all there are.
var Places = []Place{InLog, InRelay}

// foreign counts what is no message, and warns of it.
type foreign struct {
	logger *slog.Logger
	counts *measure.Counts[Place]

	mu     sync.Mutex
	warned time.Time
	silent int // found since, without a warning
}

// foreignWarnings is the least time between two warnings.
const foreignWarnings = time.Minute

func newForeign(logger *slog.Logger) *foreign {
	return &foreign{logger: logger, counts: measure.NewCounts(Places...)}
}

// found notes one at a place.
func (f *foreign) found(in Place, channel string, err error) {
	f.counts.Add(in, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.warned.IsZero() && time.Since(f.warned) < foreignWarnings {
		f.silent++
		return
	}
	f.logger.Warn("found something that is not a message; skipped it", "in", string(in), "channel", channel, "error", err, "more_since_last_warning", f.silent)
	f.warned, f.silent = time.Now(), 0
}
