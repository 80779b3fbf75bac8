package conn

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	both    = "POST /both HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	hidden  = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"
	plain   = "GET /plain HTTP/1.1\r\nHost: h\r\n\r\n"
	chunked = "POST /chunked HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"
	sized   = "POST /sized HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
)

// framingTable is the input on a connection, and whether a request in it is in
// doubt.
var framingTable = []struct {
	name, input string
	doubt       bool
}{
	{"plain", plain + plain, false},
	{"sized", sized + plain, false},
	{"chunked", chunked + plain, false},
	{"all kinds", plain + chunked + sized + chunked + plain, false},
	{"length twice", strings.Replace(sized, "\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n", 1), false},
	{"a body like a header", strings.Replace(sized, "5\r\n\r\nhello", "50\r\n\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 1), false},
	{"http/1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false},

	{"both", both, true},
	{"in the other order", strings.Replace(both, "Content-Length: 6\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 6", 1), true},
	{"in other letters", strings.NewReplacer("Content-Length", "cONTENT-lENGTH", "Transfer-Encoding", "transfer-encoding").Replace(both), true},
	{"with bare line feeds", strings.ReplaceAll(both, "\r\n", "\n"), true},
	{"after others", plain + sized + chunked + both, true},
	{"length 0", strings.Replace(both, "Content-Length: 6", "Content-Length: 0", 1), true},
	{"length on a line of its own", strings.Replace(both, "Content-Length: 6", "Content-Length:\r\n 6", 1), true},
	{"length without a number", strings.Replace(both, "Content-Length: 6", "Content-Length: six", 1), true},
	{"many fields between", strings.Replace(both, "\r\nTransfer", "\r\n"+strings.Repeat("X: y\r\n", 200)+"Transfer", 1), true},
	{"coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
	{"no chunk", strings.Replace(chunked, "5;a=b", "five", 1), true},
	{"data longer than its chunk", strings.Replace(chunked, "hello", "hello!", 1), true},
}

func TestFraming(t *testing.T) {
	t.Parallel()
	for _, test := range framingTable {
		for _, step := range []int{1, 2, 7, len(test.input)} {
			var f framing
			for b := []byte(test.input); len(b) > 0; b = b[min(step, len(b)):] {
				f.scan(b[:min(step, len(b))])
			}
			if got := f.doubt.Load(); got != test.doubt {
				t.Errorf("%s, %d bytes at a time: in doubt %v, want %v", test.name, step, got, test.doubt)
			}
			if !test.doubt && f.line != nil {
				t.Errorf("%s: an idle connection keeps %d bytes", test.name, cap(f.line))
			}
		}
	}
}

var lengthField = regexp.MustCompile(`(?im)^content-length:`)

// A request that net/http reads as chunked is in doubt if it also has a length.
func FuzzFraming(f *testing.F) {
	for _, test := range framingTable {
		f.Add([]byte(test.input), 3)
	}
	f.Fuzz(func(t *testing.T, input []byte, step int) {
		if len(input) == 0 || input[0] == 22 {
			return
		}
		var scanned framing
		step = max(1, step)
		for b := input; len(b) > 0; b = b[min(step, len(b)):] {
			scanned.scan(b[:min(step, len(b))])
		}
		source := bytes.NewReader(input)
		buffer := bufio.NewReader(source)
		at := func() int { return len(input) - source.Len() - buffer.Buffered() }
		for {
			from := at()
			r, err := http.ReadRequest(buffer)
			if err != nil {
				return
			}
			head := input[from:at()]
			if len(r.TransferEncoding) > 0 && lengthField.Match(head) && !scanned.doubt.Load() {
				t.Fatalf("%q is not in doubt", head)
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
		}
	})
}

// A request with both fields is answered 400, wherever it comes on a connection,
// and nothing after it is served.
func TestRequestInDoubt(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, listenFreely)
	for name, parts := range map[string][]string{
		"first":              {both + hidden},
		"after an answer":    {plain, both + hidden},
		"together with one":  {plain + both + hidden},
		"in pieces":          {both[:60], both[60:] + hidden},
		"after a long-poll":  {"GET /poll?channel=c&wait=10ms HTTP/1.1\r\nHost: h\r\n\r\n", both + hidden},
		"before a long-poll": {strings.Replace(both, "POST /both", "GET /poll?channel=c", 1) + hidden},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.dial()
			p.t = t
			for i, part := range parts {
				if i > 0 && name != "in pieces" {
					p.answer()
				}
				if _, err := io.WriteString(p, part); err != nil {
					t.Fatal(err)
				}
			}
			all, _ := io.ReadAll(p.r)
			if got := string(all); !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Count(got, "HTTP/1.1") != 1 {
				t.Errorf("answered %q", got)
			}
		})
	}
	p := s.dial()
	if _, err := io.WriteString(p, chunked+sized+plain); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := p.answer(); got != "ok" {
			t.Errorf("answered %q", got)
		}
	}
}
