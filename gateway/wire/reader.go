package wire

import "io"

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
