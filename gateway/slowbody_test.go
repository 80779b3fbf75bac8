package gateway_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"comet/gateway"
)

// Who sends a body that never ends is gone in time, whether anybody wants the
// body or not, and streams and polls of others are not.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{access: guarded(t), limits: gateway.Limits{Body: 300 * time.Millisecond}, heartbeat: time.Second})
	n := c.nodes[0]
	right := "Authorization: Bearer " + keyText + "\r\n"
	stream := c.openAt(n, "channel=c", bearer(keyText)...)
	stream.want("ready")
	poll := newPoller(t, n)
	poll.send("/v1/poll?channel=c&wait=20s", right)
	for name, test := range map[string]struct{ text, answer string }{
		"wanted":            {publishHead + right + "Content-Length: 100\r\n\r\nhalf", "HTTP/1.1 408"},
		"of chunks":         {publishHead + right + "Transfer-Encoding: chunked\r\n\r\n5\r\nhalf", "HTTP/1.1 408"},
		"of a batch":        {strings.ReplaceAll(publishHead, publishTo, "/v1/publish") + right + "Content-Length: 100\r\n\r\n[", "HTTP/1.1 408"},
		"not authorized":    {publishHead + "Content-Length: 100\r\n\r\nhalf", "HTTP/1.1 401"},
		"of nothing":        {"POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf", "HTTP/1.1 404"},
		"of a wrong method": {"PUT /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf", "HTTP/1.1 405"},
		"of a page":         {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf", "HTTP/1.1 200"},
		"of history":        {"GET " + publishTo + " HTTP/1.1\r\nHost: h\r\n" + right + "Content-Length: 100\r\n\r\nhalf", "HTTP/1.1 200"},
		"of a poll":         {"GET /v1/poll?channel=c&wait=1ms HTTP/1.1\r\nHost: h\r\n" + right + "Content-Length: 100\r\n\r\nhalf", "HTTP/1.1 200"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPoller(t, n)
			if _, err := io.WriteString(p, test.text); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(p.r) // to the end
			if !strings.HasPrefix(string(got), test.answer) && len(got) > 0 || err != nil {
				t.Errorf("got %.200q, %v; want %s, or just the end", got, err, test.answer)
			}
		})
	}
	c.accepted(request{"POST", publishTo, "1", bearer(keyText)})
	stream.want("1")
	if a := poll.answer(); len(a.Messages) != 1 {
		t.Errorf("the poll got %q", datas(a.Messages))
	}
}
