package redisbroker

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

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

// foreign counts what is no message, and warns of it once a minute.
type foreign struct {
	logger *slog.Logger
	counts *measure.Counts[Place]
	warn   *rate.Limiter
	silent atomic.Int64 // found since the last warning
}

func newForeign(logger *slog.Logger) *foreign {
	return &foreign{logger: logger, counts: measure.NewCounts(Places...), warn: perMinute()}
}

// perMinute limits warnings.
func perMinute() *rate.Limiter { return rate.NewLimiter(rate.Every(time.Minute), 1) }

// found notes one at a place.
func (f *foreign) found(in Place, channel string, err error) {
	f.counts.Add(in, 1)
	if !f.warn.Allow() {
		f.silent.Add(1)
		return
	}
	f.logger.Warn("found something that is not a message; skipped it", "in", string(in), "channel", channel, "error", err, "more_since_last_warning", f.silent.Swap(0))
}
