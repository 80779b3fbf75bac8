package report

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"comet/gateway/web/browsertest"
)

// browser shows reports.
type browser struct {
	*browsertest.Browser
	t testing.TB
}

func startBrowser(t testing.TB) *browser { return &browser{browsertest.Start(t), t} }

// open shows html and returns when it is loaded. After that, Events has the events
// of the page.
func (b *browser) open(html []byte, s browsertest.Screen) {
	b.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(html) // a browser that has left
	}))
	b.t.Cleanup(server.Close)
	b.Show(s)
	b.Open(server.URL)
}

// wantQuiet fails the test for an error on the page, for a request besides the
// page itself, and for content wider than the screen.
func (b *browser) wantQuiet(s browsertest.Screen) {
	b.t.Helper()
	b.WantNoComplaints()
	if n := len(b.Events["Network.requestWillBeSent"]); n != 1 {
		b.t.Errorf("%s: %d requests, want the page alone: %s", s.Name, n, b.Events["Network.requestWillBeSent"])
	}
	b.WantFit(s)
}
