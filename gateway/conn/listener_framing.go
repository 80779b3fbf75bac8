package conn

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// framing follows the requests on a connection far enough to find one with both
// Content-Length and Transfer-Encoding. Its end is ambiguous (RFC 9112 section 6.1):
// net/http reads it as chunked, and what follows as another request, while a proxy may
// see one request. A handler cannot find out, because net/http removes Content-Length.
//
// A request that framing cannot parse is in doubt too, although net/http refuses most
// of these itself.
type framing struct {
	state       framingState
	line        []byte // the first part of a line, at most maxLine bytes
	body        uint64 // Content-Length of this header
	skip        uint64 // bytes of a body or chunk that have not come yet
	length      bool   // this header has Content-Length
	encoded     bool   // this header has Transfer-Encoding
	lengthField bool   // the last field was one of these two
	started     bool   // scan has had bytes
	doubt       atomic.Bool
}

type framingState uint8

const (
	inRequestLine framingState = iota
	inFields
	inChunkSize
	inChunkEnd // the line end after a chunk's data
	inTrailers
	framingOff // in doubt, or encrypted
)

// maxLine is how much is kept of a line that comes in several reads. Relevant lines are
// much shorter.
const maxLine = 256

// scan parses the next bytes of a connection.
func (f *framing) scan(b []byte) {
	if !f.started && len(b) > 0 {
		const handshake = 22 // a TLS record's type (RFC 8446 section 5.1)
		if f.started = true; b[0] == handshake {
			f.state = framingOff
		}
	}
	for len(b) > 0 && f.state != framingOff {
		if f.skip > 0 {
			n := min(f.skip, uint64(len(b)))
			f.skip -= n
			b = b[n:]
			continue
		}
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			f.keep(b)
			return
		}
		line := b[:end]
		if len(f.line) > 0 {
			f.keep(line)
			line = f.line
		}
		f.readLine(bytes.TrimSuffix(line, []byte("\r")))
		f.line = f.line[:0]
		b = b[end+1:]
	}
	if f.state == framingOff || f.state == inRequestLine && len(f.line) == 0 {
		f.line = nil // an idle connection keeps nothing
	}
}

// keep appends a part of a line.
func (f *framing) keep(b []byte) { f.line = append(f.line, b[:min(len(b), maxLine-len(f.line))]...) }

// readLine parses a line.
func (f *framing) readLine(line []byte) {
	switch f.state {
	case inRequestLine:
		if len(line) > 0 {
			f.state, f.length, f.encoded, f.lengthField, f.body = inFields, false, false, false, 0
			if bytes.HasSuffix(line, []byte(" HTTP/1.0")) {
				f.length = true // such a client cannot mean Transfer-Encoding
			}
		}
	case inFields:
		f.readField(line)
	case inChunkSize:
		f.readChunkSize(line)
	case inChunkEnd:
		if f.state = inChunkSize; len(line) > 0 {
			f.setDoubt()
		}
	case inTrailers:
		if len(line) == 0 {
			f.state = inRequestLine
		}
	}
}

// readField parses a line of a header.
func (f *framing) readField(line []byte) {
	switch {
	case len(line) == 0:
		f.endHeader()
		return
	case line[0] == ' ' || line[0] == '\t':
		if f.lengthField { // its value goes on here
			f.setDoubt()
		}
		return
	}
	f.lengthField = false
	if first := line[0] | 0x20; first != 'c' && first != 't' {
		return
	}
	name, value, _ := strings.Cut(string(line), ":")
	switch {
	case strings.EqualFold(name, "Content-Length"):
		n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 63)
		if err != nil {
			f.setDoubt()
			return
		}
		f.length, f.lengthField, f.body = true, true, n
	case strings.EqualFold(name, "Transfer-Encoding"):
		f.encoded, f.lengthField = true, true
	}
}

// endHeader determines what follows the header.
func (f *framing) endHeader() {
	switch {
	case f.encoded && f.length:
		f.setDoubt()
	case f.encoded:
		f.state = inChunkSize
	default:
		f.state, f.skip = inRequestLine, f.body
	}
}

// readChunkSize parses the line before a chunk.
func (f *framing) readChunkSize(line []byte) {
	size, _, _ := strings.Cut(string(line), ";")
	n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 63)
	switch {
	case err != nil:
		f.setDoubt()
	case n == 0:
		f.state = inTrailers
	default:
		f.state, f.skip = inChunkEnd, n
	}
}

// setDoubt ends the parsing and has the connection's requests refused.
func (f *framing) setDoubt() {
	f.state, f.skip = framingOff, 0
	f.doubt.Store(true)
}

// refuse returns false if no request on the connection is in doubt. Otherwise it answers
// r, which may be that request or one that came together with it, and has the connection
// closed. It cannot see inside TLS: there the connection ends after a chunked request,
// which satisfies RFC 9112.
func (f *framing) refuse(w http.ResponseWriter, r *http.Request) bool {
	if !f.doubt.Load() {
		if r.TLS != nil && r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		return false
	}
	const body = `{"type":"urn:comet:problem:invalid-body","title":"Invalid body","status":400,` +
		`"detail":"The end of the request is ambiguous: send Content-Length or Transfer-Encoding, not both."}` + "\n"
	SetAnswerHeader(w.Header(), "application/problem+json")
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write([]byte(body))
	return true
}
