package wire

import (
	"bytes"
	"fmt"
	"io"
)

// Reader decodes an event stream. It is for one goroutine.
type Reader struct {
	lines   lines
	decoder lineDecoder
	err     error
}

// lineDecoder decodes a stream line by line and reports when an event is complete.
type lineDecoder interface {
	line(line []byte) (e Event, complete bool, err error)
}

// NewReader reads a stream in format f from r, which stays the caller's to
// close.
func NewReader(r io.Reader, f Format) *Reader {
	const firstBuffer = 4 << 10
	reader := &Reader{lines: lines{r: r, buf: make([]byte, firstBuffer)}}
	if f == NDJSON {
		reader.decoder = &ndjsonDecoder{}
	} else {
		reader.decoder = &sseDecoder{raw: f == SSERaw, first: true}
	}
	return reader
}

// Next blocks until there is an event; heartbeats, and control events of later
// versions, are passed over. At the end of the stream it returns the error of
// the underlying reader, often io.EOF, and drops an incomplete event. An event
// that cannot be decoded is ErrMalformed. After an error Next only repeats it.
func (r *Reader) Next() (Event, error) {
	for r.err == nil {
		var line []byte
		if line, r.err = r.lines.next(); r.err != nil {
			break
		}
		var e Event
		var complete bool
		if e, complete, r.err = r.decoder.line(line); r.err == nil && complete {
			return e, nil
		}
	}
	return Event{}, r.err
}

// MaxEventBytes bounds a line and an event's data, so that a stream that never
// ends its line cannot take all memory. The largest message that Comet can be
// set to take is 1 MiB, at most 6 MiB when all of it must be escaped.
const MaxEventBytes = 8 << 20

// lines cuts a stream at LF, CR or CRLF. It never waits for the byte after a
// CR: a line is returned as soon as its end is there.
type lines struct {
	r       io.Reader
	buf     []byte
	rest    []byte // of buf: read, not yet returned
	afterCR bool   // an LF at the start of rest belongs to the last line
	err     error  // of r, due when rest has no complete line
}

// next returns a line without its end, valid until the next call. A line that
// the stream ends in the middle of is dropped.
func (l *lines) next() ([]byte, error) {
	searched := 0
	for {
		if l.afterCR && len(l.rest) > 0 {
			if l.rest[0] == '\n' {
				l.rest = l.rest[1:]
			}
			l.afterCR = false
		}
		line, ended := l.rest, false
		if i := indexLineEnd(l.rest[searched:]); i >= 0 {
			line, ended = l.rest[:searched+i], true
		}
		if len(line) > MaxEventBytes {
			return nil, malformed("line", fmt.Errorf("longer than %d bytes", MaxEventBytes))
		}
		if ended {
			l.afterCR = l.rest[len(line)] == '\r'
			l.rest = l.rest[len(line)+1:]
			return line, nil
		}
		searched = len(line)
		if l.err != nil {
			return nil, l.err
		}
		l.fill()
	}
}

func indexLineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

// fill reads once and appends to rest.
func (l *lines) fill() {
	if len(l.rest) == 0 || cap(l.rest) == len(l.rest) {
		if 2*len(l.rest) > len(l.buf) {
			l.buf = make([]byte, 2*len(l.buf))
		}
		l.rest = l.buf[:copy(l.buf, l.rest)]
	}
	var n int
	n, l.err = l.r.Read(l.rest[len(l.rest):cap(l.rest)])
	l.rest = l.rest[:len(l.rest)+n]
}
