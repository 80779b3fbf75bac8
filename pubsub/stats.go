package pubsub

import (
	"errors"

	"comet/internal/metrics"
)

// Outcome is what became of a message that was to be published.
type Outcome string

// The outcomes of a publish.
const (
	Published      Outcome = "ok"        // ephemeral ones too
	Duplicate      Outcome = "duplicate" // its key was seen before
	Refused        Outcome = "refused"   // it was invalid, not allowed, or its key was another message's
	Unavailable    Outcome = "unavailable"
	OutcomeUnknown Outcome = "outcome-unknown"
)

func outcomeOf(r *Receipt) Outcome {
	var invalid *InvalidError
	switch {
	case r.Err == nil && r.Duplicate:
		return Duplicate
	case r.Err == nil:
		return Published
	case errors.As(r.Err, &invalid), errors.Is(r.Err, ErrKeyReused):
		return Refused
	case errors.Is(r.Err, ErrOutcomeUnknown):
		return OutcomeUnknown
	}
	return Unavailable
}

// ResyncCause is why an open channel was compared with its log, besides its opening.
type ResyncCause string

// The causes of a resync.
const (
	ByRelay      ResyncCause = "relay"      // the relay had lost the channel
	ByMessage    ResyncCause = "message"    // one came that does not follow
	BySweep      ResyncCause = "sweep"      // see Options.Sweep
	BySubscriber ResyncCause = "subscriber" // one had more of the log than the tail
)

// ResumeSource is where a subscriber's place was found that is not the end.
type ResumeSource string

// The sources of what a subscriber has missed.
const (
	FromTail ResumeSource = "tail"
	FromLog  ResumeSource = "log"
)

// ReadPurpose is why a page of a log was read.
type ReadPurpose string

// The readers of logs.
const (
	ForTail    ReadPurpose = "tail"
	ForReplay  ReadPurpose = "replay" // of what a subscriber has missed
	ForHistory ReadPurpose = "history"
)

// counts is what a Hub counts.
type counts struct {
	publishes *metrics.Counts[Outcome]
	resyncs   *metrics.Counts[ResyncCause]
	resumes   *metrics.Counts[ResumeSource]
	reads     *metrics.Counts[ReadPurpose]
	gaps      *metrics.Counts[Reason]
}

func newCounts() counts {
	return counts{
		publishes: metrics.NewCounts(Published, Duplicate, Refused, Unavailable, OutcomeUnknown),
		resyncs:   metrics.NewCounts(ByRelay, ByMessage, BySweep, BySubscriber),
		resumes:   metrics.NewCounts(FromTail, FromLog),
		reads:     metrics.NewCounts(ForTail, ForReplay, ForHistory),
		gaps:      metrics.NewCounts(Reasons...),
	}
}

// CountResumes counts a subscriber that begins at places that TryAcquire has found.
func (h *Hub) CountResumes(starts []Start) {
	for _, s := range starts {
		h.resumed(s.From, true)
	}
}

// CountTailResumes counts n places after cursors that TryAcquire has found.
func (h *Hub) CountTailResumes(n int) { h.counts.resumes.Add(FromTail, n) }

// resumed counts a subscriber's place in one channel.
func (h *Hub) resumed(from From, inTail bool) {
	switch {
	case from == From{}:
	case inTail:
		h.counts.resumes.Add(FromTail, 1)
	default:
		h.counts.resumes.Add(FromLog, 1)
	}
}

// addGaps counts the gaps among items that a subscriber, or all of a tail's, will
// get.
func (c *counts) addGaps(items []Item) {
	for i := range items {
		if g := items[i].Gap; g != nil {
			c.gaps.Add(g.Reason, 1)
		}
	}
}

// Stats is what a Hub has at the moment, and has counted since the start: each
// map has all its keys.
type Stats struct {
	Channels  int // open, index logs too
	TailItems int // of all tails
	TailBytes int // the same, as TailLimits counts them

	PatternSubscribers int // each counted once per pattern

	Publishes map[Outcome]int64 // messages given to Publish
	Resyncs   map[ResyncCause]int64
	// Resumes are the channels of subscribers that began after a cursor, or
	// with older messages, by where their place was found.
	Resumes map[ResumeSource]int64
	Reads   map[ReadPurpose]int64 // pages asked for
	// Gaps are counted once for all who follow a tail, and once for each
	// subscriber that finds one in the log while it resumes.
	Gaps map[Reason]int64
	// Relay is how long it took from the beginning of a publish at this hub
	// until its message came back over the relay, of a sample.
	Relay metrics.LatencyStats
}

// Stats may be called at any time. It looks at every open channel.
func (h *Hub) Stats() Stats {
	s := Stats{
		Publishes: h.counts.publishes.Stats(),
		Resyncs:   h.counts.resyncs.Stats(),
		Resumes:   h.counts.resumes.Stats(),
		Reads:     h.counts.reads.Stats(),
		Gaps:      h.counts.gaps.Stats(),
		Relay:     h.timing.relay.Stats(),
	}
	h.mu.Lock()
	for _, n := range h.patterns {
		s.PatternSubscribers += n
	}
	h.mu.Unlock()
	for _, c := range h.channels() {
		c.mu.Lock()
		s.TailItems += len(c.items)
		s.TailBytes += c.bytes
		c.mu.Unlock()
		s.Channels++
	}
	return s
}

// Published is how many messages this hub has published: of Stats what costs
// nothing.
func (h *Hub) Published() int64 { return h.counts.publishes.Stats()[Published] }

// channels is all that are open.
func (h *Hub) channels() []*Channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*Channel, 0, len(h.open))
	for _, c := range h.open {
		all = append(all, c)
	}
	return all
}
