package conn

import (
	"bufio"
	"bytes"
	"net/http"
	"reflect"
	"testing"
)

var plainRequests = []string{
	"GET /v1/poll?channel=c&cursor=1-2 HTTP/1.1\r\nHost: h:8080\r\n\r\n",
	"GET / HTTP/1.1\r\nhost: [::1]\r\nCONNECTION: Keep-Alive\r\nlast-event-id:  12-3 \r\nX-Empty:\r\n\r\n",
	"GET /v1/events?channel=a%2Fb HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream, */*;q=0.1\r\nCookie: a=b; c=\"d\"\r\n\r\n",
}

// otherRequests are for net/http, for good or bad.
var otherRequests = []string{
	"",
	"GET / HTTP/1.1\r\n\r\n",                // no host
	"GET / HTTP/1.1\r\nHost: h\r\n",         // not whole
	"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET ", // not alone
	"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", // nor this
	"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h/..\r\n\r\n",
	"GET / HTTP/1.0\r\nHost: h\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nAccept: a\r\nAccept: b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", // a folded line
	"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n",      // a space before the colon
	"GET / HTTP/1.1\r\nHost: h\r\nA: b\nC: d\r\n\r\n", // a bare LF
	"GET / HTTP/1.1\r\nHost: h\r\nA: \xff\r\n\r\n",    // not ASCII
	"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",              // two spaces
	"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",       // a proxy's form
	"GET //h/ HTTP/1.1\r\nHost: h\r\n\r\n",            // read as a path by some
	"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",
}

func TestParsePlain(t *testing.T) {
	t.Parallel()
	for _, text := range plainRequests {
		if _, ok := parsePlain([]byte(text)); !ok {
			t.Errorf("%q is not taken", text)
		}
	}
	for _, text := range otherRequests {
		if _, ok := parsePlain([]byte(text)); ok {
			t.Errorf("%q is taken", text)
		}
	}
}

// A request that parsePlain accepts is one request to net/http too, and the same.
func FuzzParsePlain(f *testing.F) {
	for _, text := range append(plainRequests, otherRequests...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		got, ok := parsePlain(input)
		if !ok {
			return
		}
		reader := bufio.NewReader(bytes.NewReader(input))
		want, err := http.ReadRequest(reader)
		if err != nil || reader.Buffered() > 0 {
			t.Fatalf("net/http: %v, %d bytes are left", err, reader.Buffered())
		}
		type essence struct {
			Method, URI, Host, Proto string
			URL                      any
			Header                   http.Header
			Close                    bool
			Length                   int64
			Encoding                 []string
		}
		of := func(r *http.Request) essence {
			return essence{r.Method, r.RequestURI, r.Host, r.Proto, *r.URL, r.Header, r.Close, r.ContentLength, r.TransferEncoding}
		}
		if !reflect.DeepEqual(of(got), of(want)) {
			t.Errorf("%+v\nnet/http: %+v", of(got), of(want))
		}
	})
}

func BenchmarkParsePlain(b *testing.B) {
	input := []byte("GET /v1/poll?wait=55s&channel=yardstick&cursor=1792345678901-1048577 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n" +
		"Accept: application/json\r\nUser-Agent: poller/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := parsePlain(input); !ok {
				b.Fatal("not taken")
			}
		}
	})
	b.Run("net/http", func(b *testing.B) {
		b.ReportAllocs()
		bytesReader := bytes.NewReader(input)
		reader := bufio.NewReader(bytesReader)
		for b.Loop() {
			bytesReader.Reset(input)
			reader.Reset(bytesReader)
			if _, err := http.ReadRequest(reader); err != nil {
				b.Fatal(err)
			}
		}
	})
}
