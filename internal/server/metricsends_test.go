package server

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/gateway/auth"
	"comet/internal/servertest"
)

// TestMetricsOfEnds ends streams for each reason there is.
func TestMetricsOfEnds(t *testing.T) {
	t.Parallel()
	node, url, admin := startNodeWithAdmin(t, append(servertest.GuardedFlags(t), "--http-heartbeat", "1s",
		"--auth-jwt-leeway", "0s", "--auth-jwt-grace", "0s", "--drain-spread", "2s")...)
	w := watchMetrics(t, admin)
	opened := func(n string) []string {
		return []string{`comet_connects_total{transport="sse"} +` + n, `comet_connections{state="parked",transport="sse"} +` + n}
	}
	ended := func(reason string) []string {
		return []string{`comet_disconnects_total{reason="` + reason + `",transport="sse"} +1`, `comet_connections{state="parked",transport="sse"} -1`}
	}
	open := func(token string) *http.Response {
		t.Helper()
		response := servertest.Ask(t, http.MethodGet, url+"/v1/events?channel=news", "", servertest.Bearer(token)...)
		if response.StatusCode != http.StatusOK {
			t.Fatal(response.Status)
		}
		return response
	}

	bob := servertest.Token(t, "bob", 0)
	first := open(bob) // keeps the channel open, and reads
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, first.Body) })
	t.Cleanup(reading.Wait) // the test's context ends it
	w.want("the first stream", append(opened("1"), `comet_channels +1`, `comet_log_reads_total{reader="tail"} +1`)...)

	leaver := open(bob)
	w.want("one that will go", opened("1")...)
	_ = leaver.Body.Close()
	w.want("its end", ended("gone")...)

	open(tokenUntil(t, "carol", 5*time.Second))
	w.want("one with a short token", opened("1")...)
	w.want("the end of the token", ended("token-expired")...)

	open(servertest.Token(t, "alice", -time.Minute))
	w.want("one that will be revoked", opened("1")...)
	once(t, http.MethodDelete, admin+"/v1/users/alice/sessions", "")
	w.want("the revocation", append(ended("revoked"), `comet_publishes_total{outcome="ok"} +1`, tail+" +1", `comet_publish_relay_seconds_count +1`)...)

	stalled := stall(t, url, bob)
	w.want("one that reads nothing", opened("1")...)
	large := strings.Repeat("x", 60_000)
	slow := `comet_disconnects_total{reason="slow",transport="sse"}`
	w.await("it is ended as slow", func(s samples) bool {
		servertest.Ask(t, http.MethodPost, url+servertest.News, large, "Authorization", "Bearer "+servertest.BackendKey)
		return s[slow] == 1
	})
	_ = stalled.Close()

	for range 8 {
		open(bob)
	}
	w.await("there are more streams", func(s samples) bool {
		return s[`comet_connections{state="parked",transport="sse"}`] == 9
	})
	node.terminate()
	w.await("it drains", func(s samples) bool {
		return s["comet_ready"] == 0 && s["comet_draining_seconds"] > 0 && s[`comet_disconnects_total{reason="shutdown",transport="sse"}`] > 0
	})
	node.wantLeft()
}

func TestMetricsOfMaxAge(t *testing.T) {
	t.Parallel()
	_, url, admin := startNodeWithAdmin(t, "--http-heartbeat", "1s", "--http-max-age", "1s")
	w := watchMetrics(t, admin)
	servertest.OpenStream(t, url+"/v1/events?channel=news")
	w.await("its time is over", func(s samples) bool {
		return s[`comet_disconnects_total{reason="max-age",transport="sse"}`] == 1
	})
}

// tokenUntil is user's, for all channels, for so long.
func tokenUntil(t testing.TB, user string, life time.Duration) string {
	t.Helper()
	all, err := auth.ParsePatterns([]string{"**"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := auth.Sign(&auth.Claims{
		Subject: user, IssuedAt: time.Now(), Expires: time.Now().Add(life), Permissions: auth.Permissions{Subscribe: all},
	}, "HS256", []byte(servertest.JWTSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// stall asks for a stream and reads nothing of it.
func stall(t testing.TB, node, token string) net.Conn {
	t.Helper()
	at, err := url.Parse(node)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	request := "GET /v1/events?channel=news HTTP/1.1\r\nHost: " + at.Host + "\r\nAuthorization: Bearer " + token + "\r\n\r\n"
	if _, err := c.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	return c
}
