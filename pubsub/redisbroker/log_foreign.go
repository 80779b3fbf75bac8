package redisbroker

import (
	"errors"
	"log/slog"

	"comet/internal/metrics"
)

// errForeign reports that an entry is not a message of Comet's.
var errForeign = errors.New("not written by Comet")

// errLater reports that an entry is a message of a version that this node cannot read.
var errLater = errors.New("written by a later version of Comet")

// Place is where an entry was found that is not a message.
type Place string

// The places.
const (
	InLog   Place = "log"
	InRelay Place = "relay"
)

// Places lists all places.
var Places = []Place{InLog, InRelay}

// foreign counts entries that are not messages, and logs a warning once per minute.
type foreign struct {
	counts   *metrics.Counts[Place]
	warnings *metrics.Warnings
}

func newForeign(logger *slog.Logger) *foreign {
	return &foreign{counts: metrics.NewCounts(Places...), warnings: metrics.NewWarnings(logger)}
}

// found counts one entry and logs it.
func (f *foreign) found(in Place, channel string, err error) {
	f.counts.Add(in, 1)
	f.warnings.Warn("entry that is not a message skipped", "in", string(in), "channel", channel, "error", err)
}
