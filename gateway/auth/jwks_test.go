package auth

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"

	"comet/internal/testenv"
)

// keySetOf is a JWK set of one key.
func keySetOf(t testing.TB, id string, p pair) []byte {
	t.Helper()
	text, err := json.Marshal(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{marshalKey(t, p.private.Public(), id, jwkset.UseSig)}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func marshalKey(t testing.TB, key any, id string, use jwkset.USE) jwkset.JWKMarshal {
	t.Helper()
	k, err := jwkset.NewJWKFromKey(key, jwkset.JWKOptions{Marshal: jwkset.JWKMarshalOptions{Private: true}, Metadata: jwkset.JWKMetadataOptions{KID: id, USE: use}})
	if err != nil {
		t.Fatal(err)
	}
	m := k.Marshal()
	m.ALG = "" // an Ed25519 key gets one
	return m
}

// issuer serves a JWK set that a test changes.
type issuer struct {
	*httptest.Server
	answer  atomic.Pointer[[]byte] // nil: 500
	fetched chan struct{}          // one item a request, if a test wants them
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{fetched: make(chan struct{}, 1000)}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer func() { i.fetched <- struct{}{} }()
		text := i.answer.Load()
		if text == nil {
			http.Error(w, "away", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(*text) // a client that has gone
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(text []byte) { i.answer.Store(&text) }

func (i *issuer) awaitFetch(t testing.TB) {
	t.Helper()
	select {
	case <-i.fetched:
	case <-time.After(testenv.Patience):
		t.Fatal("nothing was fetched")
	}
}

// start runs Tokens that fetch from i. A token with an unknown key causes a fetch
// at any time.
func (i *issuer) start(t testing.TB, refresh time.Duration, more TokenOptions) *Tokens {
	t.Helper()
	return i.startWithPause(t, 0, refresh, more)
}

func (i *issuer) startWithPause(t testing.TB, pause, refresh time.Duration, more TokenOptions) *Tokens {
	t.Helper()
	more.JWKSURL, more.JWKSRefresh = i.URL, refresh
	if more.Algorithms == nil {
		more.Algorithms = []string{"RS256", "ES256", "EdDSA"}
	}
	tokens := mustTokens(t, more)
	tokens.fetched.pause = pause
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { tokens.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		tokens.fetched.client.CloseIdleConnections()
	})
	return tokens
}

func signedBy(t testing.TB, p pair, algorithm, id string) string {
	t.Helper()
	return sign(t, algorithm, p.private, map[string]any{"kid": id}, alice(nil))
}

func TestJWKSRotation(t *testing.T) {
	i := newIssuer(t)
	first, second := pairs()["rsa"], pairs()["ed"]
	i.publish(keySetOf(t, "1", first))
	tokens := i.start(t, time.Hour, TokenOptions{})
	old, young := signedBy(t, first, "RS256", "1"), signedBy(t, second, "EdDSA", "2")

	if _, err := tokens.Verify(t.Context(), old); err != nil { // it waits for the first fetch
		t.Fatal(err)
	}
	_, err := tokens.Verify(t.Context(), young)
	wantReason(t, err, BadSignature, young)

	// A new key is fetched when a token names it; the old one, withdrawn, ends
	// although its token was in the cache.
	i.publish(keySetOf(t, "2", second))
	if _, err := tokens.Verify(t.Context(), young); err != nil {
		t.Fatal(err)
	}
	_, err = tokens.Verify(t.Context(), old)
	wantReason(t, err, BadSignature, old)

	forged := signedBy(t, pairs()["p256"], "ES256", "2")
	_, err = tokens.Verify(t.Context(), forged)
	wantReason(t, err, WrongAlgorithm, forged)
}

func TestJWKSOutage(t *testing.T) {
	i := newIssuer(t)
	var log strings.Builder
	var mu sync.Mutex
	logger := slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))
	tokens := i.start(t, time.Millisecond, TokenOptions{Logger: logger})
	right := signedBy(t, pairs()["rsa"], "RS256", "1")

	i.awaitFetch(t)
	if _, known, _ := mustAuthenticator(t, tokens).Known(request(http.MethodGet, "/", "Bearer "+right)); known {
		t.Error("a token is known without keys")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tokens.Verify(ctx, right); !errors.Is(err, ErrKeysUnavailable) {
		t.Errorf("without keys: got %v", err)
	}
	i.publish(keySetOf(t, "1", pairs()["rsa"]))
	for range 3 { // one may be under way that saw nothing
		i.awaitFetch(t)
	}
	if _, err := tokens.Verify(t.Context(), right); err != nil {
		t.Fatal(err)
	}

	// Valid keys stay, whatever the URL returns.
	for _, answer := range []string{"", "{}", "nonsense", `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`, strings.Repeat(" ", maxKeySet+1)} {
		if answer == "" {
			i.answer.Store(nil)
		} else {
			i.publish([]byte(answer))
		}
		tokens.fetched.newer(t.Context(), tokens.fetched.current())
		if _, err := tokens.Verify(t.Context(), signedBy(t, pairs()["rsa"], "RS256", "1")); err != nil {
			t.Errorf("after %.20q: %v", answer, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(log.String(), "fetching the keys for tokens failed") || strings.Contains(log.String(), i.URL) {
		t.Errorf("the log is\n%s", log.String())
	}
}

// Tokens of unknown keys must not make the node flood the issuer.
func TestJWKSPause(t *testing.T) {
	i := newIssuer(t)
	i.publish(keySetOf(t, "1", pairs()["rsa"]))
	tokens := i.startWithPause(t, time.Hour, time.Hour, TokenOptions{})
	if _, err := tokens.Verify(t.Context(), signedBy(t, pairs()["rsa"], "RS256", "1")); err != nil {
		t.Fatal(err)
	}
	unknown := signedBy(t, pairs()["ed"], "EdDSA", "2")
	for range 100 {
		_, err := tokens.Verify(t.Context(), unknown)
		wantReason(t, err, BadSignature, unknown)
	}
	if n := len(i.fetched); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
}

// A set may have a key as an HMAC secret or as both: HMAC tokens never count.
func TestJWKSConfusion(t *testing.T) {
	i := newIssuer(t)
	text := strings.Replace(string(keySetOf(t, "1", pairs()["rsa"])), `"keys":[`, `"keys":[{"kty":"oct","kid":"1","alg":"HS256","k":"YW4taG1hYy1zZWNyZXQtdGhhdC1uby1lcnJvci1tYXktc2hvdw"},`, 1)
	i.publish([]byte(text))
	tokens := i.start(t, time.Hour, TokenOptions{Algorithms: []string{"RS256", "HS256"}, Secrets: [][]byte{[]byte(otherText)}})
	token := sign(t, "HS256", []byte(secretText), map[string]any{"kid": "1"}, alice(nil))
	_, err := tokens.Verify(t.Context(), token)
	wantReason(t, err, BadSignature, token)
	if _, err := tokens.Verify(t.Context(), signedBy(t, pairs()["rsa"], "RS256", "1")); err != nil {
		t.Error(err)
	}
}

// A key that is for one algorithm must not verify another of its kind.
func TestJWKSAlgorithm(t *testing.T) {
	i := newIssuer(t)
	text := strings.Replace(string(keySetOf(t, "1", pairs()["rsa"])), `"kty"`, `"alg":"RS256","kty"`, 1)
	i.publish([]byte(text))
	tokens := i.start(t, time.Hour, TokenOptions{Algorithms: []string{"RS256", "PS256"}})
	if _, err := tokens.Verify(t.Context(), signedBy(t, pairs()["rsa"], "RS256", "1")); err != nil {
		t.Error(err)
	}
	other := signedBy(t, pairs()["rsa"], "PS256", "1")
	_, err := tokens.Verify(t.Context(), other)
	wantReason(t, err, WrongAlgorithm, other)
}

// A key that is skipped is logged once, with its kid and why; what was never
// meant for signatures is no warning.
func TestJWKSSkippedIsLogged(t *testing.T) {
	i := newIssuer(t)
	short := `{"kty":"RSA","kid":"short","e":"AQAB","n":"` + strings.Repeat("A", 20) + `"}`
	i.publish([]byte(strings.Replace(string(keySetOf(t, "1", pairs()["rsa"])), `"keys":[`, `"keys":[`+short+`,{"kty":"EC","kid":"for encryption","use":"enc"},`, 1)))
	var log strings.Builder
	tokens := mustTokens(t, TokenOptions{Algorithms: []string{"RS256"}, JWKSURL: i.URL, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	defer tokens.fetched.client.CloseIdleConnections()
	for range 3 {
		if err := tokens.fetched.fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Count(log.String(), "skipped") != 1 || !strings.Contains(log.String(), "kid=short reason=\"an RSA key needs at least 2048 bits\"") {
		t.Errorf("the log is\n%s", log.String())
	}
}

func TestRedirects(t *testing.T) {
	i := newIssuer(t)
	i.publish(keySetOf(t, "1", pairs()["rsa"]))
	for target, want := range map[string]string{i.URL: "", "http://keys.example/": "redirect to a URL that is not https", "/": "too many redirects"} {
		from := httptest.NewServer(http.RedirectHandler(target, http.StatusFound))
		tokens := mustTokens(t, TokenOptions{Algorithms: []string{"RS256"}, JWKSURL: from.URL + "/?key=" + keyText})
		err := tokens.fetched.fetch(t.Context())
		if (err == nil) != (want == "") || err != nil && err.Error() != want { // and no URL
			t.Errorf("to %s: %v, want %s", target, err, want)
		}
		tokens.fetched.client.CloseIdleConnections()
		from.Close()
	}
}

// From https nothing leads to http, not even on loopback, where anybody's
// program may listen.
func TestRedirectFromHTTPS(t *testing.T) {
	i := newIssuer(t)
	i.publish(keySetOf(t, "1", pairs()["rsa"]))
	back := httptest.NewTLSServer(http.RedirectHandler(i.URL, http.StatusFound))
	defer back.Close()
	long := httptest.NewTLSServer(http.RedirectHandler(back.URL, http.StatusFound))
	defer long.Close()
	for _, from := range []string{back.URL, long.URL} {
		tokens := mustTokens(t, TokenOptions{Algorithms: []string{"RS256"}, JWKSURL: from})
		tokens.fetched.client.Transport = back.Client().Transport
		if err := tokens.fetched.fetch(t.Context()); err == nil || err.Error() != "redirect to a URL that is not https" {
			t.Errorf("got %v", err)
		}
		tokens.fetched.client.CloseIdleConnections()
	}
	if len(i.fetched) > 0 {
		t.Error("the redirect was followed")
	}
}

// Errors of an unreachable URL do not contain the URL, which may have a password.
func TestJWKSErrorHasNoURL(t *testing.T) {
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	tokens := mustTokens(t, TokenOptions{Algorithms: []string{"RS256"}, JWKSURL: away.URL + "/?key=" + keyText})
	err := tokens.fetched.fetch(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	wantSilent(t, err.Error())
}

func mustAuthenticator(t testing.TB, tokens *Tokens) *Authenticator {
	t.Helper()
	a, err := New(Options{Tokens: tokens})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// lockedWriter may be read, with mu, while others write.
type lockedWriter struct {
	mu *sync.Mutex
	to *strings.Builder
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
