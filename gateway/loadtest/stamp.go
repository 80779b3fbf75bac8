package loadtest

import (
	"bytes"
	"fmt"
	"strconv"
)

// stamp is what a message says about itself. In its text:
//
//	stamp:<index, 10 digits>:<sent, nanoseconds, 19 digits>:
//
// Nothing of it needs escaping, in JSON or elsewhere, and its length is fixed.
type stamp struct {
	index int     // of the message among all of the run
	sent  instant // just before it was published
}

const (
	stampMark   = "stamp:"
	indexDigits = 10
	sentDigits  = 19
)

// MinSize is how many bytes the smallest message has: its stamp.
const MinSize = len(stampMark) + indexDigits + 1 + sentDigits + 1

// append adds s and fills it up to size.
func (s stamp) append(b []byte, size int) []byte {
	b = fmt.Appendf(b, "%s%0*d:%0*d:", stampMark, indexDigits, s.index, sentDigits, s.sent)
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
	const sentAt = len(stampMark) + indexDigits + 1
	if b[sentAt-1] != ':' || b[MinSize-1] != ':' {
		return stamp{}, false
	}
	index, err1 := strconv.ParseUint(string(b[len(stampMark):sentAt-1]), 10, 31)
	sent, err2 := strconv.ParseUint(string(b[sentAt:MinSize-1]), 10, 63)
	return stamp{int(index), instant(sent)}, err1 == nil && err2 == nil
}
