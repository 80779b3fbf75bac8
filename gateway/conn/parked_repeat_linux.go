package conn

import (
	"bytes"
	"crypto/sha256"
)

// repeated recognizes the next request of a client that polls: nearly always it has the
// bytes of the one before, with another cursor. It is then neither parsed nor
// authenticated again. Of the request, which may have a token, only a hash is kept.
type repeated struct {
	repeater      Repeater
	hash          [sha256.Size]byte // of the request without the cursor
	before, after int32             // the lengths of what is before the cursor and after it
}

// newRepeated returns what recognizes repetitions of request, which was admitted as next;
// nil if they are to be parsed.
func newRepeated(next *FastResult, request []byte, scratch *scratch) *repeated {
	if next.Repeater == nil {
		return nil
	}
	start, end, ok := findCursor(request)
	if !ok {
		return nil
	}
	r := &repeated{repeater: next.Repeater, before: int32(start), after: int32(len(request) - end)}
	r.hash = r.hashOf(request, scratch)
	return r
}

// match returns the cursor of request, if that is otherwise the same.
func (r *repeated) match(request []byte, scratch *scratch) (cursor []byte, ok bool) {
	if r == nil || len(request) <= int(r.before+r.after) {
		return nil, false
	}
	cursor = request[r.before : len(request)-int(r.after)]
	return cursor, isCursor(cursor) && r.hashOf(request, scratch) == r.hash
}

func (r *repeated) hashOf(request []byte, scratch *scratch) [sha256.Size]byte {
	b := append((*scratch)[:0], request[:r.before]...)
	b = append(b, request[len(request)-int(r.after):]...)
	scratch.keep(b)
	return sha256.Sum256(b)
}

// findCursor finds the value of the first parameter named cursor in the query of a
// request. ok is false if there is none, or if it has bytes that no cursor has.
func findCursor(request []byte) (start, end int, ok bool) {
	const name = "cursor="
	line, _, _ := bytes.Cut(request, []byte("\r\n"))
	for start = bytes.IndexByte(line, '?') + 1; start > 0; {
		end = start + bytes.IndexAny(line[start:], "& ")
		if end < start {
			return 0, 0, false
		}
		if bytes.HasPrefix(line[start:end], []byte(name)) {
			start += len(name)
			return start, end, isCursor(line[start:end])
		}
		if line[end] == ' ' {
			return 0, 0, false
		}
		start = end + 1
	}
	return 0, 0, false
}

// isCursor reports whether b is not empty, and has only bytes that cursors have: none
// that means anything in a URL.
func isCursor(b []byte) bool {
	for _, c := range b {
		if lower := c | 0x20; (lower < 'a' || lower > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '~' {
			return false
		}
	}
	return len(b) > 0
}
