package conn

import (
	"net/http"
	"time"

	"comet/gateway/deflate"
	"comet/gateway/wire"
)

// Coding is how the body of a stream is encoded.
type Coding uint8

// The codings.
const (
	Plain    Coding = iota // whatever the client accepts
	Identity               // as it is, because the client does not accept gzip
	Gzip                   // only for a stream of one channel or pattern without Skip
	codings  = iota        // how many there are
)

// setStreamHeader sets the header of a stream. Proxies must neither buffer it
// (X-Accel-Buffering is nginx's, https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering)
// nor compress it: express's compression, for example, withholds data that it has not
// compressed yet, unless there is no-transform (RFC 9111 section 5.2.2.6).
func setStreamHeader(h http.Header, f wire.Format, c Coding) {
	h.Set("Content-Type", f.ContentType())
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
	if c != Plain {
		h.Add("Vary", "Accept-Encoding")
	}
	if c == Gzip {
		h.Set("Content-Encoding", "gzip")
	}
}

// ownGzip compresses a stream that one goroutine writes, until it is parked. Between
// writes it keeps no encoder, but a message or so to refer to.
type ownGzip struct {
	begun bool
	whole deflate.Whole
	last  []byte // the end of the content, at most lastBytes
}

// lastBytes is how much of a stream's content is kept to refer to: for each write an
// encoder has to read it again.
const lastBytes = 1 << 10

// encode returns content, compressed, and with final the end of the body.
func (g *ownGzip) encode(content []byte, final bool) (b []byte) {
	if !g.begun {
		g.begun = true
		b = append(b, deflate.Header...)
	}
	g.whole.Add(content)
	if final {
		return deflate.AppendEnd(b, content, g.whole.CRC, g.whole.Size)
	}
	e := deflate.NewEncoder(time.Time{})
	defer e.Free()
	e.Prime(g.last)
	b, _ = e.Append(b, content, time.Time{})
	if len(content) >= lastBytes {
		g.last = append(g.last[:0], content[len(content)-lastBytes:]...)
		return b
	}
	keep := min(len(g.last), lastBytes-len(content))
	g.last = append(g.last[:copy(g.last, g.last[len(g.last)-keep:])], content...)
	return b
}

// encode returns the body for content, and with final the end of the body.
func (s *Stream) encode(content []byte, final bool) []byte {
	if s.Coding != Gzip || len(content) == 0 {
		return content
	}
	b := s.gzip.encode(content, final)
	s.counters.addGzip(len(content), len(b))
	return b
}
