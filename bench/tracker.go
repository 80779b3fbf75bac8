package bench

import "slices"

// tracker records the messages that one subscriber received. For each publisher
// of its channel it has the next sequence number, and the holes below it.
type tracker struct {
	next  []uint32 // by publisher
	holes []hole   // below next; nil as long as messages arrive in order
	got   int64    // distinct messages
	order uint64   // hash of the order in which they arrived

	repeated   uint32 // received again
	outOfOrder uint32 // received after a later one of the same publisher
	unknown    uint32 // never published
}

// hole is the messages from..to-1 of a publisher, which were not received yet.
type hole struct{ publisher, from, to uint32 }

// record records a delivery. It returns whether it is the message's first one, and
// the change of the number of messages in holes.
func (l *tracker) record(publisher, sequence uint32) (first bool, missing int64) {
	next := &l.next[publisher]
	switch {
	case sequence >= *next:
		if sequence > *next {
			l.holes = append(l.holes, hole{publisher, *next, sequence})
			missing = int64(sequence - *next)
		}
		*next = sequence + 1
	case l.fill(publisher, sequence):
		l.outOfOrder++
		missing = -1
	default:
		l.repeated++
		return false, 0
	}
	l.got++
	l.order = (l.order ^ (uint64(publisher)<<32 | uint64(sequence)) + 1) * 0x100000001b3 // FNV-1a, one step per message
	return true, missing
}

// fill removes a message from its hole. It returns false if it is in no hole.
func (l *tracker) fill(publisher, sequence uint32) bool {
	i := l.holeOf(publisher, sequence)
	if i < 0 {
		return false
	}
	h := l.holes[i]
	switch {
	case h.to-h.from == 1:
		l.holes = slices.Delete(l.holes, i, i+1)
	case sequence == h.from:
		l.holes[i].from++
	case sequence == h.to-1:
		l.holes[i].to--
	default:
		l.holes[i].to = sequence
		l.holes = append(l.holes, hole{publisher, sequence + 1, h.to})
	}
	return true
}

// holeOf returns the index of the message's hole, or -1.
func (l *tracker) holeOf(publisher, sequence uint32) int {
	return slices.IndexFunc(l.holes, func(h hole) bool {
		return h.publisher == publisher && h.from <= sequence && sequence < h.to
	})
}

func (l *tracker) has(publisher, sequence uint32) bool {
	return sequence < l.next[publisher] && l.holeOf(publisher, sequence) < 0
}

// missing returns how many of the first totals[i] messages of each publisher i
// were not received.
func (l *tracker) missing(totals []uint32) (n int64) {
	for publisher, total := range totals {
		if next := l.next[publisher]; next < total {
			n += int64(total - next)
		}
	}
	for _, h := range l.holes {
		if to := min(h.to, totals[h.publisher]); to > h.from {
			n += int64(to - h.from)
		}
	}
	return n
}
