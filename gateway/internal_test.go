package gateway

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"comet/gateway/auth"
	"comet/pubsub"
)

// A crowd of requests that fail does not fill the log.
func TestFailuresLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		g, err := New(Options{Logger: slog.New(slog.NewTextHandler(&lines, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Drain(0)
		fail := func() {
			for range 10 * failuresLogged {
				g.logProblem(httptest.NewRequest("GET", "/v1/events", nil), problem(connectionsReached, "full"), errors.New("full"))
			}
		}
		for _, want := range []int{failuresLogged, 2 * failuresLogged} {
			fail()
			if got := bytes.Count(lines.Bytes(), []byte("level=WARN msg=\"request failed\"")); got != want {
				t.Errorf("%d warnings, want %d", got, want)
			}
			time.Sleep(time.Second) // of the bubble
		}
	})
}

// A client without a credential is asked for one where nodes take some. The
// setting of anonymous clients is named only where nothing else can help.
func TestMissingCredential(t *testing.T) {
	denied := &auth.DeniedError{Verb: auth.Publish, Channel: "c", Credential: auth.None, Lacking: "the setting auth.anonymous.publish"}
	for credentials, want := range map[bool]struct {
		status int
		detail string
	}{
		true:  {401, "No credential was sent, and without one you may not publish to channel \"c\": send a token or a key as `Authorization: Bearer …`, or a token in the parameter access_token."},
		false: {403, `You may not publish to channel "c": the setting auth.anonymous.publish does not include it.`},
	} {
		p := (&policy{Policy: Policy{Credentials: credentials}}).toProblem(denied)
		if p.status != want.status || p.Detail != want.detail {
			t.Errorf("credentials %v: %d %s, want %+v", credentials, p.status, p.Detail, want)
		}
	}
}

// Without a Tracer a publish costs nothing more for there being some.
func TestTracingOffCostsNothing(t *testing.T) {
	g := &Gateway{}
	rc, data := &requestContext{}, []byte("1")
	row := route{open: true, endpoint: func(*Gateway, http.ResponseWriter, *http.Request, *requestContext) error {
		d := pubsub.Draft{Channel: "c", Data: data, Trace: rc.spanParent()}
		rc.span.record(d.Channel, "published", d)
		return nil
	}}
	plain := route{open: true, endpoint: func(*Gateway, http.ResponseWriter, *http.Request, *requestContext) error {
		d := pubsub.Draft{Channel: "c", Data: data}
		_ = d.Validate()
		return nil
	}}
	r := httptest.NewRequestWithContext(rc.context(context.Background()), http.MethodPost, "/", nil)
	without := testing.AllocsPerRun(100, func() { _ = g.serve(plain, nil, r, rc) })
	with := testing.AllocsPerRun(100, func() { _ = g.serveTraced(row, nil, r, rc) })
	if with > without {
		t.Errorf("%v allocations, and %v where nothing could be traced", with, without)
	}
}

// TestNothingThere: the answer for a path that does not exist says where the paths are.
func TestNothingThere(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/v1/channels/news":    "messages of the channel are at /v1/channels/news/messages",
		"/v1/channels/a%2Fb":   "are at /v1/channels/a%2Fb/messages",
		"/v1/channels/news/no": "/openapi.yaml",
		"/nothing":             "/openapi.yaml",
	} {
		err := notFound(nil, nil, httptest.NewRequest(http.MethodPost, path, nil), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}
