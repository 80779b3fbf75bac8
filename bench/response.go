package bench

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// sink receives the parts of responses from a responseReader. The bytes are valid
// until the method returns. An error ends the reading.
type sink interface {
	head(b []byte) error // status line and header, with the empty line
	body(b []byte) error // the next part of the body
	end() error          // the response is complete
}

// responseReader parses the responses to GET requests of one HTTP/1 connection,
// incrementally. Between reads of whole chunks it keeps no buffer, so thousands of
// them are cheap.
type responseReader struct {
	rest []byte // bytes received but not used yet
	part part
	left int64 // remaining bytes of the body or chunk
}

// part is the reader's position in a response.
type part uint8

const (
	inHead      part = iota
	inBody           // Content-Length
	inRest           // until the connection closes
	inChunkSize      // before a chunk
	inChunk
	inChunkEnd // the CRLF after a chunk
	inTrailer
)

// maxHead bounds a header, and any other line of the framing.
const maxHead = 64 << 10

var errFraming = errors.New("not HTTP/1")

// feed parses the bytes of a read.
func (r *responseReader) feed(b []byte, to sink) error {
	if len(r.rest) > 0 {
		b = append(r.rest, b...)
	}
	for len(b) > 0 {
		n, err := r.step(b, to)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		b = b[n:]
	}
	if len(b) == 0 {
		r.rest = nil
		return nil
	}
	r.rest = append(r.rest[:0], b...)
	return nil
}

// step consumes the first bytes of b and returns their number; 0 if it needs more.
func (r *responseReader) step(b []byte, to sink) (int, error) {
	switch r.part {
	case inHead:
		return r.readHead(b, to)
	case inRest:
		return len(b), to.body(b)
	case inBody, inChunk:
		return r.readBody(b, to)
	default:
		return r.readLine(b, to)
	}
}

func (r *responseReader) readHead(b []byte, to sink) (int, error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, bounded(b)
	}
	head := b[:end+4]
	status, err := statusOf(head)
	if err != nil {
		return 0, err
	}
	if err := to.head(head); err != nil {
		return 0, err
	}
	length := headerValue(head, "Content-Length")
	switch {
	case status == 204 || status == 304:
		return len(head), to.end()
	case bytes.EqualFold(headerValue(head, "Transfer-Encoding"), []byte("chunked")):
		r.part = inChunkSize
	case length == nil:
		r.part = inRest
	default:
		if r.left, err = parseSize(length, 10); err != nil {
			return 0, err
		}
		if r.left == 0 {
			return len(head), to.end()
		}
		r.part = inBody
	}
	return len(head), nil
}

// readBody consumes the part of the body or chunk in b.
func (r *responseReader) readBody(b []byte, to sink) (int, error) {
	n := int(min(r.left, int64(len(b))))
	r.left -= int64(n)
	if err := to.body(b[:n]); err != nil || r.left > 0 {
		return n, err
	}
	if r.part == inChunk {
		r.part = inChunkEnd
		return n, nil
	}
	r.part = inHead
	return n, to.end()
}

// readLine consumes a line of the chunked framing.
func (r *responseReader) readLine(b []byte, to sink) (int, error) {
	end := bytes.Index(b, []byte("\r\n"))
	if end < 0 {
		return 0, bounded(b)
	}
	line := b[:end]
	switch r.part {
	case inChunkEnd:
		if len(line) > 0 {
			return 0, fmt.Errorf("%w: %.20q after a chunk", errFraming, line)
		}
		r.part = inChunkSize
	case inChunkSize:
		size, _, _ := bytes.Cut(line, []byte(";"))
		var err error
		if r.left, err = parseSize(size, 16); err != nil {
			return 0, err
		}
		r.part = inChunk
		if r.left == 0 {
			r.part = inTrailer
		}
	case inTrailer:
		if len(line) == 0 {
			r.part = inHead
			return end + 2, to.end()
		}
	}
	return end + 2, nil
}

func bounded(b []byte) error {
	if len(b) > maxHead {
		return fmt.Errorf("%w: %.20q…", errFraming, b)
	}
	return nil
}

// statusOf parses a status line like "HTTP/1.1 200 OK".
func statusOf(head []byte) (int, error) {
	rest, found := bytes.CutPrefix(head, []byte("HTTP/1.1 "))
	if !found {
		rest, found = bytes.CutPrefix(head, []byte("HTTP/1.0 "))
	}
	if !found || len(rest) < 4 || rest[3] != ' ' && rest[3] != '\r' {
		return 0, fmt.Errorf("%w: %.20q", errFraming, head)
	}
	status, err := strconv.ParseUint(string(rest[:3]), 10, 16)
	if err != nil || status < 200 { // no request asks for a 1xx
		return 0, fmt.Errorf("%w: %.20q", errFraming, head)
	}
	return int(status), nil
}

func parseSize(b []byte, base int) (int64, error) {
	n, err := strconv.ParseUint(string(b), base, 62)
	if err != nil {
		return 0, fmt.Errorf("%w: a length of %.20q", errFraming, b)
	}
	return int64(n), nil
}

// headerValue returns the value of the first header line of that name, nil
// without one.
func headerValue(head []byte, name string) []byte {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name)+1:])
		}
	}
	return nil
}
