package server

import (
	"net/http"
	"strings"
	"testing"

	"comet/internal/servertest"
)

// Pages of exactly the listed origins may call, with credentials; by stream, by
// poll, on the long way and at the door.
func TestCORS(t *testing.T) {
	t.Parallel()
	const page = "https://app.example"
	_, url := startNode(t, "--http-cors-origins", page)
	servertest.Get(t, url+"/v1/events?channel=news") // opens the channel, so the next ones come to the door
	for origin, allowed := range map[string]bool{
		page: true, "": false, "null": false, "https://evil.example": false, "http://app.example": false, "https://app.example:8443": false,
		"https://app.example.evil.example": false, "https://APP.example": false, "https://xapp.example": false,
	} {
		for _, path := range []string{"/v1/events?channel=news", "/v1/poll?channel=news&wait=1ms", "/v1/poll?channel=news&wait=0", servertest.News} {
			for _, more := range [][]string{nil, {"X-Twice", "a", "X-Twice", "b"}} { // what is there twice is not for the door
				header := more
				if origin != "" {
					header = append(header, "Origin", origin)
				}
				r := servertest.Ask(t, http.MethodGet, url+path, "", header...)
				wantCORS(t, path+" from "+origin, r, origin, allowed)
				if r.StatusCode != http.StatusOK {
					t.Errorf("%s from %s: %s", path, origin, r.Status)
				}
			}
		}
		if origin == "" {
			continue
		}
		r := servertest.Ask(t, http.MethodOptions, url+servertest.News, "", "Origin", origin,
			"Access-Control-Request-Method", http.MethodPost, "Access-Control-Request-Headers", "authorization,content-type,idempotency-key")
		wantCORS(t, "preflight from "+origin, r, origin, allowed)
		if allowed != strings.Contains(r.Header.Get("Access-Control-Allow-Methods"), http.MethodPost) {
			t.Errorf("preflight from %s: %v", origin, r.Header)
		}
		r = servertest.Ask(t, http.MethodPost, url+servertest.News, "1", "Origin", origin, "Sec-Fetch-Site", "cross-site")
		if (r.StatusCode == http.StatusCreated) != allowed {
			t.Errorf("publish from %s: %s", origin, r.Status)
		}
		r = servertest.Ask(t, http.MethodGet, url+"/v1/poll", "", "Origin", origin) // an error can be read, too
		wantCORS(t, "error from "+origin, r, origin, allowed)
	}
}

func wantCORS(t *testing.T, what string, r *http.Response, origin string, allowed bool) {
	t.Helper()
	h := r.Header
	if !allowed {
		if h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", what, h)
		}
		return
	}
	if h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Allow-Credentials") != "true" || !strings.Contains(strings.Join(h["Vary"], ","), "Origin") {
		t.Errorf("%s: %s %v", what, r.Status, h)
	}
}

// Every origin may call where the list says so, without cookies.
func TestCORSOfAll(t *testing.T) {
	t.Parallel()
	_, url := startNode(t, "--http-cors-origins", "*")
	for range 2 {
		r := servertest.Ask(t, http.MethodGet, url+"/v1/events?channel=news", "", "Origin", "https://any.example")
		if h := r.Header; h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("got %v", h)
		}
	}
}

// A page whose origin may use the cookie may publish with it, without CORS: it
// cannot read the answer, but it can send.
func TestCookieOrigins(t *testing.T) {
	t.Parallel()
	const page = "https://app.example"
	_, url := startNode(t, servertest.GuardedFlags(t, "--auth-cookie-name", "session", "--auth-cookie-origins", page)...)
	cookie := "session=" + servertest.Token(t, "alice", 0)
	for origin, want := range map[string]int{page: http.StatusCreated, "https://evil.example": http.StatusForbidden} {
		r := servertest.Ask(t, http.MethodPost, url+servertest.News, "1", "Cookie", cookie, "Origin", origin, "Sec-Fetch-Site", "cross-site")
		if r.StatusCode != want {
			t.Errorf("from %s: %s", origin, r.Status)
		}
	}
}
