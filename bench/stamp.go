package bench

import (
	"bytes"
	"fmt"
)

// stamp is what a message says about itself. In its text, numbers in
// hexadecimal:
//
//	stamp:<run, 8 digits>.<channel, 6>.<publisher, 4>.<sequence, 8>.<due, 16>:
//
// Nothing of it needs escaping, in JSON or elsewhere, and its length is fixed.
type stamp struct {
	run       uint32 // which run's it is
	channel   uint32
	publisher uint32
	sequence  uint32  // among the messages of its publisher to its channel
	due       instant // when it was to be published
}

const stampMark = "stamp:"

// Where in a stamp its numbers end.
const (
	runEnd       = len(stampMark) + 8
	channelEnd   = runEnd + 1 + 6
	publisherEnd = channelEnd + 1 + 4
	sequenceEnd  = publisherEnd + 1 + 8
	dueEnd       = sequenceEnd + 1 + 16
)

// MinSize is how many bytes the smallest message has: its stamp.
const MinSize = dueEnd + 1

// append adds s and fills it up to size.
func (s *stamp) append(b []byte, size int) []byte {
	b = fmt.Appendf(b, "%s%08x.%06x.%04x.%08x.%016x:", stampMark, s.run, s.channel, s.publisher, s.sequence, uint64(s.due))
	return append(b, bytes.Repeat([]byte("x"), size-MinSize)...)
}

// nextStamp is the first stamp in text, and what follows it; ok is false if
// there is none.
func nextStamp(text []byte) (s stamp, rest []byte, ok bool) {
	for {
		at := bytes.Index(text, []byte(stampMark))
		if at < 0 || len(text)-at < MinSize {
			return stamp{}, nil, false
		}
		if s, ok = parseStamp(text[at : at+MinSize]); ok {
			return s, text[at+MinSize:], true
		}
		text = text[at+len(stampMark):]
	}
}

// parseStamp reads b, which begins with the mark and has MinSize bytes.
func parseStamp(b []byte) (stamp, bool) {
	if b[runEnd] != '.' || b[channelEnd] != '.' || b[publisherEnd] != '.' || b[sequenceEnd] != '.' || b[dueEnd] != ':' {
		return stamp{}, false
	}
	run, ok1 := parseHex(b[len(stampMark):runEnd])
	channel, ok2 := parseHex(b[runEnd+1 : channelEnd])
	publisher, ok3 := parseHex(b[channelEnd+1 : publisherEnd])
	sequence, ok4 := parseHex(b[publisherEnd+1 : sequenceEnd])
	due, ok5 := parseHex(b[sequenceEnd+1 : dueEnd])
	return stamp{uint32(run), uint32(channel), uint32(publisher), uint32(sequence), instant(due)}, ok1 && ok2 && ok3 && ok4 && ok5
}

// parseHex reads at most 16 lower-case digits.
func parseHex(digits []byte) (n uint64, ok bool) {
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}
