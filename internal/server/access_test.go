package server

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/internal/testenv"
	"comet/pubsub/redistest"
)

// A user who is revoked at one node is revoked at every other, also at one that
// starts later, and may connect again with a newer token.
func TestThrowOut(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	flags := servertest.GuardedFlags(t, "--redis", redis.Addr())
	_, here, admin := startNodeWithAdmin(t, flags...)
	_, there := startNode(t, flags...)
	old, other := servertest.Token(t, "alice smith", -time.Minute), servertest.Token(t, "bob", -time.Minute)
	streams := map[string]*wire.Reader{}
	for _, url := range []string{here, there} {
		streams[url], _ = servertest.OpenStream(t, url+"/v1/events?channel=news&access_token="+old)
	}
	stays, _ := servertest.OpenStream(t, there+"/v1/events?channel=news&access_token="+other)
	polled := make(chan error, 1)
	go func() {
		response, err := http.Get(there + "/v1/poll?channel=news&wait=40s&access_token=" + old)
		if err == nil {
			err = response.Body.Close() // an empty answer, or a 401 if it came too late to be held
		}
		polled <- err
	}()

	began := time.Now()
	if r := servertest.Send(t, http.MethodDelete, admin+"/v1/users/alice%20smith/sessions"); r.StatusCode != http.StatusNoContent {
		t.Fatalf("revoked: %s", r.Status)
	}
	for url, s := range streams {
		if e := servertest.NextEvent(t, s); e.Kind != wire.KindBye || e.Reason != "revoked" {
			t.Errorf("%s sent %+v, want comet.bye", url, e)
		}
	}
	if err := <-polled; err != nil {
		t.Errorf("the poll: %v", err)
	}
	t.Logf("all had left after %v", time.Since(began))
	_, later := startNode(t, flags...)
	for _, url := range []string{here, there, later} {
		r := servertest.Ask(t, http.MethodPost, url+servertest.News, "1", servertest.Bearer(old)...)
		if name, _ := servertest.Problem(t, r); r.StatusCode != http.StatusUnauthorized || name != "credential-revoked" {
			t.Errorf("%s: the old token: %s %s", url, r.Status, name)
		}
		for late := time.Now().Add(testenv.Patience); ; { // a newer token, as soon as clocks may not explain it
			r := servertest.Ask(t, http.MethodPost, url+servertest.News, "1", servertest.Bearer(servertest.Token(t, "alice smith", 5*time.Second))...)
			if r.StatusCode == http.StatusCreated {
				break
			}
			if time.Now().After(late) {
				t.Fatalf("%s: a newer token: %s, %s", url, r.Status, servertest.Body(t, r))
			}
		}
	}
	if e := servertest.NextEvent(t, stays); e.Kind != wire.KindMessage {
		t.Errorf("another user got %+v", e)
	}
}

// The admin listener's token is wanted for everything but probes, and pages of
// others get nothing done without one.
func TestAdminToken(t *testing.T) {
	t.Parallel()
	node, _, admin := startNodeWithAdmin(t, "--admin-token", servertest.AdminToken)
	_, _, open := startNodeWithAdmin(t)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/nothing"} {
		wrong := [][]string{nil, servertest.Bearer("wrong")}
		if path == "/metrics" { // not everywhere: guesses are slowed
			wrong = append(wrong, servertest.Bearer(servertest.AdminToken+"x"), []string{"Authorization", servertest.AdminToken}, servertest.Bearer(""))
		}
		for _, header := range wrong {
			if r := servertest.Ask(t, http.MethodGet, admin+path, "", header...); r.StatusCode != http.StatusUnauthorized || r.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %q: %s", path, header, r.Status)
			}
		}
	}
	for _, r := range []*http.Response{servertest.Ask(t, http.MethodPost, admin+"/v1/drain", ""), servertest.Ask(t, http.MethodDelete, admin+"/v1/users/a/sessions", "")} {
		if r.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s %s: %s", r.Request.Method, r.Request.URL.Path, r.Status)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/startupz"} {
		if r := servertest.Get(t, admin+path); r.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
	if r := servertest.Ask(t, http.MethodGet, admin+"/metrics", "", servertest.Bearer(servertest.AdminToken)...); r.StatusCode != http.StatusOK {
		t.Errorf("with the token: %s", r.Status)
	}
	for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
		if r := servertest.Ask(t, http.MethodPost, open+"/v1/drain", "", header...); r.StatusCode != http.StatusForbidden {
			t.Errorf("a page of another origin drains: %s", r.Status)
		}
	}
	if r := servertest.Ask(t, http.MethodPost, admin+"/v1/drain", "", servertest.Bearer(servertest.AdminToken)...); r.StatusCode != http.StatusAccepted {
		t.Errorf("drain: %s", r.Status)
	}
	node.wantLeft()
}

// The public listener speaks TLS and HTTP/2, and takes files that are replaced.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	cert, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	replace := func(serial int64) {
		certPEM, keyPEM := servertest.NewCertificate(t, serial)
		servertest.WriteFile(t, cert, certPEM)
		servertest.WriteFile(t, key, keyPEM)
	}
	replace(1)
	node, url := startNode(t, "--http-tls-cert", cert, "--http-tls-key", key)
	if !strings.HasPrefix(url, "https://") {
		t.Fatalf("it serves at %s", url)
	}
	r := servertest.Ask(t, http.MethodGet, url+"/v1/events?channel=news", "")
	if r.ProtoMajor != 2 || r.TLS.PeerCertificates[0].SerialNumber.Int64() != 1 {
		t.Errorf("got %s with certificate %v", r.Proto, r.TLS.PeerCertificates[0].SerialNumber)
	}
	events := wire.NewReader(r.Body, wire.SSE)
	servertest.NextEvent(t, events)
	replace(2)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for late := time.After(testenv.Patience); ; {
		r := servertest.Ask(t, http.MethodPost, url+servertest.News, "1")
		if r.TLS.PeerCertificates[0].SerialNumber.Int64() == 2 {
			break
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatal("the new certificate is not taken")
		}
	}
	if e := servertest.NextEvent(t, events); e.Kind != wire.KindMessage {
		t.Errorf("who was there before got %+v", e)
	}
	if r := servertest.Ask(t, http.MethodGet, "http"+strings.TrimPrefix(url, "https")+"/", ""); r.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %s", r.Status)
	}
	node.wantLeave()
}
