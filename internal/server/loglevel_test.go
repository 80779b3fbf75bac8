package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"comet/config"
	"comet/internal/servertest"
)

func TestLogLevel(t *testing.T) {
	t.Parallel()
	node, _, admin := startNodeWithAdmin(t)
	for _, test := range []struct {
		body   string
		status int
		want   string
	}{
		{`{"level": "debug"}`, http.StatusOK, `{"level":"debug"}`},
		{`{"level": "error"}`, http.StatusOK, `{"level":"error"}`},
		{`{"level": "loud"}`, http.StatusBadRequest, `debug"}, or info, warn or error`},
		{`{"level": "DEBUG"}`, http.StatusBadRequest, `info, warn or error`},
		{`{"levels": "debug"}`, http.StatusBadRequest, `info, warn or error`},
		{`{"level": "` + strings.Repeat("x", 2000) + `"}`, http.StatusBadRequest, `info, warn or error`},
		{``, http.StatusBadRequest, `info, warn or error`},
		{`{"level": "warn"}`, http.StatusOK, `{"level":"warn"}`},
	} {
		r := servertest.Ask(t, http.MethodPut, admin+"/v1/log", test.body)
		if body := servertest.Body(t, r); r.StatusCode != test.status || !strings.Contains(body, test.want) {
			t.Errorf("%.40s: %s %s", test.body, r.Status, body)
		}
	}
	if body := servertest.Body(t, servertest.Get(t, admin+"/v1/log")); body != "{\"level\":\"warn\"}\n" {
		t.Errorf("in the end %s", body)
	}
	node.awaitLog(`level=INFO msg="log level changed" from=info to=debug trace_id=[0-9a-f]{32}`)
	node.awaitLog(`level=INFO msg="log level changed" from=debug to=error`)
	node.wantLeave()
}

const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"

// The ID that a client gives its request is in its answer, its problem and its lines of
// the log, however it comes in, and nothing of it in those of others.
func TestRequestNames(t *testing.T) {
	t.Parallel()
	node, url := startNode(t, "--log-level", "debug")
	servertest.OpenStream(t, url+"/v1/events?channel=news") // now the fast path accepts
	named := []string{"Traceparent", "00-" + traceID + "-00f067aa0ba902b7-01", "X-Request-Id", "order-17"}
	for _, path := range []string{"/v1/events?channel=news", "/v1/poll?channel=news&wait=10ms", "/v1/poll?channel=news&wait=0", "/v1/poll", "/nothing"} {
		if got := servertest.Ask(t, http.MethodGet, url+path, "", named...).Header.Values("X-Request-Id"); len(got) != 1 || got[0] != "order-17" {
			t.Errorf("%s: the answer is to %q", path, got)
		}
		if got := servertest.Ask(t, http.MethodGet, url+path, "", "X-Request-Id", "a b").Header.Values("X-Request-Id"); len(got) != 0 {
			t.Errorf("%s: what is no name comes back: %q", path, got)
		}
	}
	if body := servertest.Body(t, servertest.Ask(t, http.MethodGet, url+"/v1/poll", "", named...)); !strings.Contains(body, `"trace_id":"`+traceID+`"`) {
		t.Errorf("a problem: %s", body)
	}
	of := ` trace_id=` + traceID + ` request_id=order-17`
	node.awaitLog(`msg="request refused" node=\S+ method=GET path=/v1/poll problem=invalid-channel .*` + of)
	node.awaitLog(`msg=connected node=\S+ transport=poll user="" address=127.0.0.1 channels=\[news\]` + of)
	node.awaitLog(`msg=connected node=\S+ transport=sse user="" address=127.0.0.1 channels=\[news\]` + of)
	node.awaitLog(`msg=disconnected node=\S+ transport=poll user="" address=127.0.0.1 reason=answered duration=\S+` + of)
	node.wantLeave()
	node.awaitLog(`msg=disconnected node=\S+ transport=sse user="" address=127.0.0.1 reason=shutdown duration=\S+` + of)
	for line := range strings.Lines(node.log.String()) {
		if regexp.MustCompile(`msg="?(connected|disconnected|request)`).MatchString(line) && !strings.Contains(line, " trace_id=") {
			t.Errorf("a line of no request: %s", line)
		}
	}
}

// A name is that of one poll, and not of those after it on the same connection.
func TestRequestNameOfOnePoll(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	servertest.OpenStream(t, url+"/v1/events?channel=news")
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	for i, id := range []string{"", "first", "", "second", ""} {
		r, err := http.NewRequest(http.MethodGet, url+"/v1/poll?channel=news&wait=10ms", nil)
		if err != nil {
			t.Fatal(err)
		}
		if id != "" {
			r.Header.Set("X-Request-Id", id)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := response.Header.Get("X-Request-Id"); got != id {
			t.Errorf("poll %d: the answer is to %q, want %q", i, got, id)
		}
		servertest.Body(t, response)
		response.Body.Close()
	}
}

// At info there is not one line a connection.
func TestQuietLog(t *testing.T) {
	t.Parallel()
	node, url := startNode(t)
	servertest.OpenStream(t, url+"/v1/events?channel=news")
	servertest.OpenStream(t, url+"/v1/events?channel=news")
	servertest.Get(t, url+"/v1/poll?channel=news&wait=0")
	servertest.Get(t, url+"/nothing")
	node.wantLeave()
	if text := node.log.String(); strings.Contains(text, "connected") || strings.Contains(text, "refused") {
		t.Errorf("logged %s", text)
	}
}

func TestDurationsInJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger, _ := NewLogger(&out, &config.Log{Format: "json"})
	logger.Info("draining", "delay", 10*time.Second, slog.Group("of", "spread", 90*time.Second))
	if got := out.String(); !strings.Contains(got, `"delay":"10s","of":{"spread":"1m30s"}`) {
		t.Errorf("logged %s", got)
	}
}
