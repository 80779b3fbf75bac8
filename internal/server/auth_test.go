package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/config"
)

// The keys of other tokens are fetched from where those are from.
func TestAccessKeepsNewKeys(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	defer server.Close()
	s := &config.Settings{}
	a, err := newAccess(s, &net.TCPAddr{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer end()
	running.Go(func() { a.run(ctx) })
	for _, path := range []string{"/first", "/second"} {
		s.Auth.JWT = config.JWT{Algorithms: []string{"RS256"}, JWKSURL: server.URL + path, JWKSRefresh: time.Hour}
		_, use, err := a.change(s, true)
		if err != nil {
			t.Fatal(err)
		}
		use()
		if got := <-asked; got != path {
			t.Errorf("asked for %s, want %s", got, path)
		}
	}
	for _, newTokens := range []bool{false, true} {
		s.Auth.JWT = config.JWT{}
		p, use, err := a.change(s, newTokens)
		if err != nil {
			t.Fatal(err)
		}
		if use(); p.Credentials == newTokens {
			t.Errorf("takes tokens: %v", p.Credentials)
		}
	}
}

// All mistakes in credentials are reported at once.
func TestAccessReportsAllMistakes(t *testing.T) {
	t.Parallel()
	s := &config.Settings{}
	s.Auth.Keys = config.NewSecret("backend:short")
	s.Auth.JWT = config.JWT{Algorithms: []string{"HS256"}, Secret: config.NewSecret("short")}
	_, err := newAccess(s, &net.TCPAddr{}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "key") || !strings.Contains(err.Error(), "auth.jwt: ") {
		t.Errorf("reported %v, want a line for the key and one for the secret", err)
	}
	if _, err := newAccess(&config.Settings{}, &net.TCPAddr{}, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}
