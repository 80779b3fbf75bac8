package bench

import (
	"bytes"
	"fmt"
)

// payloadHeader is the start of a message. It identifies the message. Its text,
// with the numbers in hexadecimal, is:
//
//	stamp:<run, 8 digits>.<channel, 6>.<publisher, 4>.<sequence, 8>.<due, 16>:
//
// It needs no escaping, in JSON or elsewhere, and has a fixed length.
type payloadHeader struct {
	run       uint32 // number of the run
	channel   uint32
	publisher uint32
	sequence  uint32  // among the messages of its publisher to its channel
	due       instant // when it was due to be published
}

const payloadMark = "stamp:"

// Offsets in the header at which its numbers end.
const (
	runEnd       = len(payloadMark) + 8
	channelEnd   = runEnd + 1 + 6
	publisherEnd = channelEnd + 1 + 4
	sequenceEnd  = publisherEnd + 1 + 8
	dueEnd       = sequenceEnd + 1 + 16
)

// MinSize is the size of the smallest message: a payload header, in bytes.
const MinSize = dueEnd + 1

// append adds s and fills it up to size.
func (s *payloadHeader) append(b []byte, size int) []byte {
	b = fmt.Appendf(b, "%s%08x.%06x.%04x.%08x.%016x:", payloadMark, s.run, s.channel, s.publisher, s.sequence, uint64(s.due))
	return append(b, bytes.Repeat([]byte("x"), size-MinSize)...)
}

// nextPayloadHeader returns the first header in text and the bytes after it; ok
// is false if text has no header.
func nextPayloadHeader(text []byte) (s payloadHeader, rest []byte, ok bool) {
	for {
		at := bytes.Index(text, []byte(payloadMark))
		if at < 0 || len(text)-at < MinSize {
			return payloadHeader{}, nil, false
		}
		if s, ok = parsePayloadHeader(text[at : at+MinSize]); ok {
			return s, text[at+MinSize:], true
		}
		text = text[at+len(payloadMark):]
	}
}

// parsePayloadHeader parses b, which begins with the mark and has MinSize bytes.
func parsePayloadHeader(b []byte) (payloadHeader, bool) {
	if b[runEnd] != '.' || b[channelEnd] != '.' || b[publisherEnd] != '.' || b[sequenceEnd] != '.' || b[dueEnd] != ':' {
		return payloadHeader{}, false
	}
	run, ok1 := parseHex(b[len(payloadMark):runEnd])
	channel, ok2 := parseHex(b[runEnd+1 : channelEnd])
	publisher, ok3 := parseHex(b[channelEnd+1 : publisherEnd])
	sequence, ok4 := parseHex(b[publisherEnd+1 : sequenceEnd])
	due, ok5 := parseHex(b[sequenceEnd+1 : dueEnd])
	return payloadHeader{uint32(run), uint32(channel), uint32(publisher), uint32(sequence), instant(due)}, ok1 && ok2 && ok3 && ok4 && ok5
}

// parseHex parses at most 16 lower-case digits.
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
