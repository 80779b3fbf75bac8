package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"comet/gateway"
)

// A client that reads the answer only after it has sent everything gets the
// refusal of a body that is far too large, not a broken connection.
func TestRefusedBody(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{gateway: anonymously([]string{"**"}, []string{"c"})})
	n := c.nodes[0]
	const large = 16 << 20
	part := bytes.Repeat([]byte("x"), 1<<20)
	send := func(size int) func(io.Writer) error {
		return func(w io.Writer) error {
			for range size / len(part) {
				if _, err := w.Write(part); err != nil {
					return err
				}
			}
			return nil
		}
	}
	sendChunks := func(w io.Writer) error {
		for range large / len(part) {
			if _, err := fmt.Fprintf(w, "%x\r\n%s\r\n", len(part), part); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, "0\r\n\r\n")
		return err
	}
	for name, test := range map[string]struct {
		target, header string
		send           func(io.Writer) error
		status         int
	}{
		"of 1 MiB":      {publishTo, fmt.Sprint("Content-Length: ", 1<<20), send(1 << 20), 413},
		"of 16 MiB":     {publishTo, fmt.Sprint("Content-Length: ", large), send(large), 413},
		"of 40 MiB":     {publishTo, fmt.Sprint("Content-Length: ", 40<<20), send(40 << 20), 413},
		"of chunks":     {publishTo, "Transfer-Encoding: chunked", sendChunks, 413},
		"of a batch":    {"/v1/publish", fmt.Sprint("Content-Type: application/json\r\nContent-Length: ", large), send(large), 413},
		"compressed":    {publishTo, fmt.Sprint("Content-Encoding: gzip\r\nContent-Length: ", large), send(large), 415},
		"not permitted": {"/v1/channels/d/messages", fmt.Sprint("Content-Length: ", large), send(large), 403},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPoller(t, n)
			if _, err := fmt.Fprintf(p, "POST %s HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", test.target, test.header); err != nil {
				t.Fatal(err)
			}
			if err := test.send(p); err != nil {
				t.Fatalf("while it sent: %v", err)
			}
			res, err := http.ReadResponse(p.r, nil)
			if err != nil || res.StatusCode != test.status || !res.Close {
				t.Fatalf("got %+v, %v; want %d", res, err, test.status)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				t.Error(err)
			}
			if _, err := p.r.ReadByte(); err != io.EOF {
				t.Errorf("after the answer: %v, want the end", err)
			}
		})
	}
	if h := c.history("c", ""); len(h.Messages) > 0 {
		t.Errorf("published %q", datas(h.Messages))
	}
}

// A client that asks whether to send is refused before it does.
func TestRefusedBodyExpected(t *testing.T) {
	t.Parallel()
	n := overMemory(t, setup{}).nodes[0]
	p := newPoller(t, n)
	fmt.Fprintf(p, "POST %s HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", publishTo, 16<<20)
	res, err := http.ReadResponse(p.r, nil)
	if err != nil || res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("got %+v, %v", res, err)
	}
}

// A refused body without end is read for a bounded time, and up to a bounded size.
func TestRefusedBodyWithoutEnd(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{limits: gateway.Limits{Body: 300 * time.Millisecond}})
	stalled := newPoller(t, c.nodes[0])
	fmt.Fprintf(stalled, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\nxxx", publishTo, 16<<20)
	answer, err := io.ReadAll(stalled.r) // to the end
	if !strings.HasPrefix(string(answer), "HTTP/1.1 413") || err != nil {
		t.Errorf("got %.100q, %v", answer, err)
	}

	c = overMemory(t, setup{})
	endless := newPoller(t, c.nodes[0])
	fmt.Fprintf(endless, "POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", publishTo)
	chunk := []byte(fmt.Sprintf("%x\r\n%s\r\n", 1<<20, bytes.Repeat([]byte("x"), 1<<20)))
	for sent := 0; ; sent++ {
		if _, err := endless.Write(chunk); err != nil {
			break // the node has closed
		}
		if sent > 1<<10 {
			t.Fatal("a GiB was read")
		}
	}
}
