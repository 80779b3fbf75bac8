package redisbroker

import (
	"errors"
	"log/slog"

	"comet/internal/metrics"
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

// foreign counts what is no message, and warns of it once per minute.
type foreign struct {
	counts   *metrics.Counts[Place]
	warnings *metrics.Warnings
}

func newForeign(logger *slog.Logger) *foreign {
	return &foreign{counts: metrics.NewCounts(Places...), warnings: metrics.NewWarnings(logger)}
}

// found counts one at a place.
func (f *foreign) found(in Place, channel string, err error) {
	f.counts.Add(in, 1)
	f.warnings.Warn("found something that is not a message; skipped it", "in", string(in), "channel", channel, "error", err)
}
