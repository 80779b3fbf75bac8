package pubsub

import (
	"slices"
	"time"
)

// Lives is what a broker knows of the lives of its primaries: whether a reader
// who finds a log in another generation than before can have lost anything.
type Lives struct {
	// Same are all generations of the life of the primary that answered.
	Same []Generation
	// Whole are those of lives that it took over with all that was acknowledged:
	// see Options.MinReplicas of package redisbroker.
	Whole []Generation
	// Others are those of the other primaries that live, as in a Redis Cluster.
	// A channel that one of them had before has moved, with all that was in it.
	Others []Generation
	// Began is when lives began, also some that are over. On its way from one
	// primary that lives to another a channel may have been at one that was
	// replaced, and took what nobody had seen with it.
	Began []Beginning
}

func (l *Lives) isZero() bool { return len(l.Same)+len(l.Others)+len(l.Began) == 0 }

// Beginning is when a life began.
type Beginning struct {
	At    time.Time    // by the clock of Redis
	Known time.Time    // when the node first knew, by its own
	Of    []Generation // that the life is known to have had
}

// clockSkew is how far the clocks of several Redis servers may differ.
const clockSkew = time.Second

// clear reports whether who was in gen, and had the log up to from, has lost
// nothing up to the message until (zero: up to now). seen is when the relay was
// known to carry all, in ns since the epoch, 0 if it was not.
func (l *Lives) clear(gen Generation, from ID, seen int64, until ID) bool {
	if slices.Contains(l.Same, gen) || slices.Contains(l.Whole, gen) {
		return true
	}
	after, before := timeOf(from).Add(-clockSkew), timeOf(until).Add(clockSkew)
	began, heard := false, false
	for _, b := range l.Began {
		if slices.Contains(b.Of, gen) {
			continue // it had begun when the reader was there
		}
		began = began || b.At.After(after) && (until.IsZero() || b.At.Before(before))
		heard = heard || b.Known.UnixNano() >= seen
	}
	return slices.Contains(l.Others, gen) && (!began || seen != 0 && !heard)
}

func timeOf(id ID) time.Time { return time.UnixMilli(int64(id.MS)) }
