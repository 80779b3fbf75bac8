package main

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"comet/gateway/auth"
	"comet/gateway/wire"
	"comet/pubsub/redistest"
)

// Secrets of the tests' nodes.
const (
	jwtSecret  = "jwt-secret-0123456789abcdef0123456789abcdef"
	backendKey = "backend-key-0123456789abcdef0123456789abcdef"
	adminToken = "admin-token-0123456789abcdef0123456789abcdef"
)

// guardedFlags make a node that takes tokens and a key, and lets nobody else do
// anything.
func guardedFlags(t testing.TB, more ...string) []string {
	t.Helper()
	return append([]string{
		"--auth-jwt-algorithms", "HS256", "--auth-jwt-secret-file", writeFile(t, jwtSecret+"\n"),
		"--auth-keys-file", writeFile(t, "backend:"+backendKey+"\n"), "--auth-jwt-leeway", "5s",
	}, more...)
}

// tokenOf is user's, for all channels, issued some time from now.
func tokenOf(t testing.TB, user string, issued time.Duration) string {
	t.Helper()
	all, err := auth.ParsePatterns([]string{"**"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := auth.Sign(&auth.Claims{
		Subject: user, IssuedAt: time.Now().Add(issued), Expires: time.Now().Add(time.Hour),
		Permissions: auth.Permissions{Subscribe: all, Publish: all},
	}, "HS256", []byte(jwtSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ask sends a request, with names and values of fields in turn, over a
// connection of its own that stays open: one that is to close is not for the
// door.
func ask(t testing.TB, method, url, body string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = response.Body.Close()
		transport.CloseIdleConnections()
	})
	return response
}

func bearer(text string) []string { return []string{"Authorization", "Bearer " + text} }

const news = "/v1/channels/news/messages"

// problemOf is the last part of a problem's type, and its detail.
func problemOf(t testing.TB, response *http.Response) (name, detail string) {
	t.Helper()
	var p struct{ Type, Detail string }
	if body := bodyOf(t, response); json.Unmarshal([]byte(body), &p) != nil {
		t.Errorf("%s is no problem: %s", response.Status, body)
	}
	return strings.TrimPrefix(p.Type, "urn:comet:problem:"), p.Detail
}

// A user who is thrown out at one node is so at every other, also at one that
// starts later, and comes back in with a newer token.
func TestThrowOut(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	flags := guardedFlags(t, "--redis", redis.Addr())
	_, here, admin := startNodeWithAdmin(t, flags...)
	_, there := startNode(t, flags...)
	old, other := tokenOf(t, "alice smith", -time.Minute), tokenOf(t, "bob", -time.Minute)
	streams := map[string]*wire.Reader{}
	for _, url := range []string{here, there} {
		streams[url], _ = openStream(t, url+"/v1/events?channel=news&access_token="+old)
	}
	stays, _ := openStream(t, there+"/v1/events?channel=news&access_token="+other)
	polled := make(chan error, 1)
	go func() {
		response, err := http.Get(there + "/v1/poll?channel=news&wait=40s&access_token=" + old)
		if err == nil {
			err = response.Body.Close() // an empty answer, or a 401 if it came too late to be held
		}
		polled <- err
	}()

	began := time.Now()
	if r := send(t, http.MethodDelete, admin+"/v1/users/alice%20smith/sessions"); r.StatusCode != http.StatusNoContent {
		t.Fatalf("thrown out: %s", r.Status)
	}
	for url, s := range streams {
		if e := nextEvent(t, s); e.Kind != wire.KindBye || e.Reason != "revoked" {
			t.Errorf("%s said %+v instead of goodbye", url, e)
		}
	}
	if err := <-polled; err != nil {
		t.Errorf("the poll: %v", err)
	}
	t.Logf("all had left after %v", time.Since(began))
	_, later := startNode(t, flags...)
	for _, url := range []string{here, there, later} {
		r := ask(t, http.MethodPost, url+news, "1", bearer(old)...)
		if name, _ := problemOf(t, r); r.StatusCode != http.StatusUnauthorized || name != "credential-revoked" {
			t.Errorf("%s: the old token: %s %s", url, r.Status, name)
		}
		for late := time.Now().Add(deadline); ; { // a newer token, as soon as clocks may not explain it
			r := ask(t, http.MethodPost, url+news, "1", bearer(tokenOf(t, "alice smith", 5*time.Second))...)
			if r.StatusCode == http.StatusCreated {
				break
			}
			if time.Now().After(late) {
				t.Fatalf("%s: a newer token: %s, %s", url, r.Status, bodyOf(t, r))
			}
		}
	}
	if e := nextEvent(t, stays); e.Kind != wire.KindMessage {
		t.Errorf("another user got %+v", e)
	}
}

// The admin listener's token is wanted for everything but probes, and pages of
// others get nothing done without one.
func TestAdminToken(t *testing.T) {
	t.Parallel()
	node, _, admin := startNodeWithAdmin(t, "--admin-token", adminToken)
	_, _, open := startNodeWithAdmin(t)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/nothing"} {
		wrong := [][]string{nil, bearer("wrong")}
		if path == "/metrics" { // not everywhere: guesses are slowed
			wrong = append(wrong, bearer(adminToken+"x"), []string{"Authorization", adminToken}, bearer(""))
		}
		for _, header := range wrong {
			if r := ask(t, http.MethodGet, admin+path, "", header...); r.StatusCode != http.StatusUnauthorized || r.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %q: %s", path, header, r.Status)
			}
		}
	}
	for _, r := range []*http.Response{ask(t, http.MethodPost, admin+"/v1/drain", ""), ask(t, http.MethodDelete, admin+"/v1/users/a/sessions", "")} {
		if r.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s %s: %s", r.Request.Method, r.Request.URL.Path, r.Status)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/startupz"} {
		if r := get(t, admin+path); r.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
	if r := ask(t, http.MethodGet, admin+"/metrics", "", bearer(adminToken)...); r.StatusCode != http.StatusOK {
		t.Errorf("with the token: %s", r.Status)
	}
	for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
		if r := ask(t, http.MethodPost, open+"/v1/drain", "", header...); r.StatusCode != http.StatusForbidden {
			t.Errorf("a page of another origin drains: %s", r.Status)
		}
	}
	if r := ask(t, http.MethodPost, admin+"/v1/drain", "", bearer(adminToken)...); r.StatusCode != http.StatusAccepted {
		t.Errorf("drain: %s", r.Status)
	}
	node.wantExit(exitOK)
}

// The public listener speaks TLS and HTTP/2, and takes files that are replaced.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	cert, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	replace := func(serial int64) {
		certPEM, keyPEM := pemPair(t, serial)
		writeTestFile(t, cert, certPEM)
		writeTestFile(t, key, keyPEM)
	}
	replace(1)
	node, url := startNode(t, "--http-tls-cert", cert, "--http-tls-key", key)
	if !strings.HasPrefix(url, "https://") {
		t.Fatalf("it serves at %s", url)
	}
	r := ask(t, http.MethodGet, url+"/v1/events?channel=news", "")
	if r.ProtoMajor != 2 || r.TLS.PeerCertificates[0].SerialNumber.Int64() != 1 {
		t.Errorf("got %s with certificate %v", r.Proto, r.TLS.PeerCertificates[0].SerialNumber)
	}
	events := wire.NewReader(r.Body, wire.SSE)
	nextEvent(t, events)
	replace(2)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for late := time.After(deadline); ; {
		r := ask(t, http.MethodPost, url+news, "1")
		if r.TLS.PeerCertificates[0].SerialNumber.Int64() == 2 {
			break
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatal("the new certificate is not taken")
		}
	}
	if e := nextEvent(t, events); e.Kind != wire.KindMessage {
		t.Errorf("who was there before got %+v", e)
	}
	if r := ask(t, http.MethodGet, "http"+strings.TrimPrefix(url, "https")+"/", ""); r.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %s", r.Status)
	}
	node.wantLeave(syscall.SIGTERM)
}
