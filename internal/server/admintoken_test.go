package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"comet/internal/servertest"
)

// Wrong tokens of one address are slowed and reported; its right one, and all
// other addresses, are not.
func TestAdminGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := withToken(servertest.AdminToken, slog.New(slog.NewTextHandler(&log, nil)), http.HandlerFunc(healthz))
		ask := func(address, token string) *httptest.ResponseRecorder {
			r, w := httptest.NewRequest(http.MethodGet, "/metrics", nil), httptest.NewRecorder()
			r.RemoteAddr = address
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			h.ServeHTTP(w, r)
			return w
		}
		const bad, good = "192.0.2.1:1000", "192.0.2.2:1000"
		statuses := map[int]int{}
		for i := range 500 {
			w := ask(bad, fmt.Sprint("guess-", i))
			statuses[w.Code]++
			if retry := w.Header().Get("Retry-After"); (retry != "") != (w.Code == http.StatusTooManyRequests) {
				t.Errorf("%d with Retry-After %q", w.Code, retry)
			}
		}
		if statuses[http.StatusUnauthorized] != guessBurst || statuses[http.StatusTooManyRequests] != 500-guessBurst {
			t.Errorf("got %v", statuses)
		}
		for what, got := range map[string]int{
			"the right token, from there": ask(bad, servertest.AdminToken).Code, "the right token": ask(good, servertest.AdminToken).Code,
		} {
			if got != http.StatusOK {
				t.Errorf("%s: %d", what, got)
			}
		}
		if w := ask(good, "guess"); w.Code != http.StatusUnauthorized {
			t.Errorf("another address: %d", w.Code)
		}
		if w := ask(bad, ""); w.Code != http.StatusUnauthorized {
			t.Errorf("without a token: %d", w.Code)
		}
		time.Sleep(2 * time.Second)
		if w := ask(bad, "guess"); w.Code != http.StatusUnauthorized {
			t.Errorf("2 s later: %d", w.Code)
		}
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "address=192.0.2.1") || strings.Contains(text, "guess-") {
			t.Errorf("the log is %s", text)
		}
	})
}
