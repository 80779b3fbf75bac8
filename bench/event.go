package bench

import (
	"bytes"
	"strconv"
	"time"
)

// event is one event of a stream, with the fields that a subscriber needs. Its
// slices point into the bytes that it was parsed from.
type event struct {
	text  []byte // all of its lines
	name  []byte
	id    []byte
	hasID bool // an empty id clears the cursor
	retry time.Duration
}

// nextEvent parses the first event of b and returns its length, 0 if it is not
// complete. A comment before an event, like a heartbeat, is returned as an empty
// event, so that idle subscribers buffer nothing. Lines end with LF or CRLF: no
// server uses a CR alone, which HTML 9.2.6 allows too.
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

// parseLine parses a line. It skips data lines, which are by far the most common.
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
