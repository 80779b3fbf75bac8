package bench

import (
	"bytes"
	"strconv"
	"time"
)

// event is one event of a stream, as far as a subscriber looks at it. Its
// slices are of the bytes that it was read from.
type event struct {
	text  []byte // all of its lines
	name  []byte
	id    []byte
	hasID bool // id may be empty: there is no cursor any more
	retry time.Duration
}

// nextEvent reads the first event of b and returns how many bytes it has; 0 if
// it is not complete. A comment before an event, as heartbeats are, is an event
// without anything, so that idle subscribers buffer nothing. Lines end with LF
// or CRLF: a CR alone, which HTML 9.2.6 allows too, is used by none.
func nextEvent(b []byte) (e event, n int) {
	for {
		length := bytes.IndexByte(b[n:], '\n')
		if length < 0 {
			return event{}, 0
		}
		line := bytes.TrimSuffix(b[n:n+length], []byte("\r"))
		if len(line) == 0 {
			e.text = b[:n]
			return e, n + length + 1
		}
		if n == 0 && line[0] == ':' {
			return event{}, length + 1
		}
		n += length + 1
		e.parseLine(line)
	}
}

// parseLine notes a line. That of the data, by far the most common, is left alone.
func (e *event) parseLine(line []byte) {
	switch line[0] {
	case 'i':
		if value, ok := fieldValue(line, "id"); ok {
			e.id, e.hasID = value, true
		}
	case 'e':
		if value, ok := fieldValue(line, "event"); ok {
			e.name = value
		}
	case 'r':
		if value, ok := fieldValue(line, "retry"); ok {
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				e.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
}

func fieldValue(line []byte, name string) (value []byte, ok bool) {
	field, value, _ := bytes.Cut(line, []byte(":"))
	return bytes.TrimPrefix(value, []byte(" ")), string(field) == name
}
