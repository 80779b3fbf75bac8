package pubsub

import (
	"slices"
	"time"
)

// EpochHistory is what a broker knows about the epochs of its primaries. It decides
// whether a reader that finds a log in a new epoch can have lost anything.
type EpochHistory struct {
	// Same are all epochs of the primary that answered, since it began.
	Same []Epoch
	// Whole are those of primaries that it replaced without losing an acknowledged
	// message: see Options.MinReplicas of package redisbroker.
	Whole []Epoch
	// Others are those of the other primaries that are up, as in a Redis Cluster.
	// A channel that one of them had before has moved, with its whole log.
	Others []Epoch
	// Starts are when primaries began, also some that are gone. A channel that moved
	// between two primaries may have been at a third one that was replaced, and
	// lost messages with it that no node had seen.
	Starts []EpochStart
}

func (l *EpochHistory) isZero() bool { return len(l.Same)+len(l.Others)+len(l.Starts) == 0 }

// EpochStart is when a primary began.
type EpochStart struct {
	At     time.Time // by the clock of Redis
	Known  time.Time // when the node first knew, by its own
	Epochs []Epoch   // that the primary is known to have had since
}

// clockSkew is how far the clocks of several Redis servers may differ.
const clockSkew = time.Second

// skew is how far the clocks of the primaries of two epochs may differ: clockSkew,
// or 0 if they are one epoch.
func skew(a, b Epoch) time.Duration {
	if a == b {
		return 0
	}
	return clockSkew
}

// skewMS is skew in milliseconds.
func skewMS(a, b Epoch) uint64 { return uint64(skew(a, b).Milliseconds()) }

// clear reports whether a reader in epoch that had the log up to from has lost
// nothing up to the message until (zero: up to now). seen is the last time at which
// the relay was known to carry everything, in Unix ns; 0 if unknown.
func (l *EpochHistory) clear(epoch Epoch, from ID, seen int64, until ID) bool {
	if slices.Contains(l.Same, epoch) || slices.Contains(l.Whole, epoch) {
		return true
	}
	after, before := timeOf(from).Add(-clockSkew), timeOf(until).Add(clockSkew)
	began, heard := false, false
	for _, b := range l.Starts {
		if slices.Contains(b.Epochs, epoch) {
			continue // it had begun when the reader was there
		}
		began = began || b.At.After(after) && (until.IsZero() || b.At.Before(before))
		heard = heard || b.Known.UnixNano() >= seen
	}
	return slices.Contains(l.Others, epoch) && (!began || seen != 0 && !heard)
}

func timeOf(id ID) time.Time { return time.UnixMilli(int64(id.MS)) }
