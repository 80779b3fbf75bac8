package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// transcript is a sink that records its calls, with each body in one piece.
type transcript struct {
	text  strings.Builder
	first string // the body of the first response that is complete
	now   bytes.Buffer
	ends  int
}

func (t *transcript) head(b []byte) error {
	fmt.Fprintf(&t.text, "%.12s\n", b)
	return nil
}

func (t *transcript) body(b []byte) error {
	t.now.Write(b)
	t.text.Write(b)
	return nil
}

func (t *transcript) end() error {
	if t.ends == 0 {
		t.first = t.now.String()
	}
	t.ends++
	t.text.WriteString("|\n")
	return nil
}

// read feeds b to a reader in pieces of at most size bytes and returns the
// transcript.
func read(b []byte, size int) (*transcript, error) {
	var r responseReader
	var t transcript
	for len(b) > 0 {
		n := min(size, len(b))
		// A copy, which is overwritten: the reader must keep nothing of it.
		piece := bytes.Clone(b[:n])
		err := r.feed(piece, &t)
		clear(piece)
		if err != nil {
			return &t, err
		}
		b = b[n:]
	}
	return &t, nil
}

var responses = []struct {
	name, bytes, want string
	malformed         bool
}{
	{name: "length", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", want: "HTTP/1.1 200\nhello|\n"},
	{name: "length of nothing", bytes: "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", want: "HTTP/1.1 200\n|\n"},
	{name: "cut short", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", want: "HTTP/1.1 200\nhell"},
	{name: "chunks", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", want: "HTTP/1.1 200\nabc0123456789|\n"},
	{name: "trailer", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n", want: "HTTP/1.1 200\n|\n"},
	{name: "endless chunks", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n2\r\nb\n\r\n", want: "HTTP/1.1 200\na\nb\n"},
	{name: "until close", bytes: "HTTP/1.1 200 OK\r\n\r\ndata: a\n\n", want: "HTTP/1.1 200\ndata: a\n\n"},
	{name: "no body", bytes: "HTTP/1.1 304 Not Modified\r\nEtag: 1\r\n\r\nHTTP/1.1 204 No\r\n\r\n", want: "HTTP/1.1 304\n|\nHTTP/1.1 204\n|\n"},
	{name: "kept alive", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 404 NF\r\nContent-Length: 1\r\n\r\nb", want: "HTTP/1.1 200\na|\nHTTP/1.1 404\nb|\n"},
	{name: "not HTTP", bytes: "-ERR unknown command\r\n\r\n", malformed: true},
	{name: "bad status", bytes: "HTTP/1.1 2xx\r\n\r\n", malformed: true},
	{name: "bad length", bytes: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", malformed: true},
	{name: "bad chunk size", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", malformed: true},
	{name: "chunk longer than it says", bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", malformed: true},
	{name: "endless header", bytes: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead), malformed: true},
}

func TestResponseReader(t *testing.T) {
	for _, test := range responses {
		for _, size := range []int{1, 2, 7, 1 << 20} {
			if size < 7 && len(test.bytes) > maxHead {
				continue // slow
			}
			got, err := read([]byte(test.bytes), size)
			if test.malformed != (err != nil) {
				t.Errorf("%s, %d bytes at a time: error %v", test.name, size, err)
			}
			if err == nil && got.text.String() != test.want {
				t.Errorf("%s, %d bytes at a time:\n%q, want\n%q", test.name, size, got.text.String(), test.want)
			}
		}
	}
}

// The split of the bytes makes no difference, and the body is the same as that of
// net/http.
func FuzzResponseReader(f *testing.F) {
	for _, test := range responses {
		if len(test.bytes) < 1000 {
			f.Add([]byte(test.bytes), 3)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		if len(b) > maxHead {
			return // how much is too much depends on the pieces
		}
		whole, err := read(b, len(b)+1)
		split, splitErr := read(b, max(1, size))
		if (err == nil) != (splitErr == nil) || whole.text.String() != split.text.String() {
			t.Errorf("whole: %q, %v\nsplit: %q, %v", whole.text.String(), err, split.text.String(), splitErr)
		}
		if err != nil || whole.ends == 0 {
			return
		}
		response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
		if err != nil {
			return
		}
		body, err := io.ReadAll(response.Body)
		if err == nil && string(body) != whole.first {
			t.Errorf("body %q, net/http has %q", whole.first, body)
		}
	})
}
