package hook

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secretText   = "a-hook-secret-that-no-error-may-ever-show"
	passwordText = "a-password-in-the-url"
)

var endpoint = Endpoint{URL: "https://hook:" + passwordText + "@app.example/comet", Secret: []byte(secretText)}

// at is the same path with that password at a test server.
func at(serverURL string) Endpoint {
	return Endpoint{URL: strings.Replace(serverURL, "http://", "http://hook:"+passwordText+"@", 1), Secret: []byte(secretText)}
}

// wantSilent fails if a text contains a secret.
func wantSilent(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(text, secretText) || strings.Contains(text, passwordText) {
			t.Errorf("%q shows a secret", text)
		}
	}
}

// application takes requests without a network, so that time may be a bubble's.
type application func(r *http.Request, body []byte) (*http.Response, error)

// RoundTrip is also a check that everything sent is signed.
func (a application) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = Verify([]byte(secretText), r.Header.Get(SignatureHeader), body, time.Now())
	}
	if err == nil && r.Header.Get("Content-Type") != "application/json" {
		err = errors.New("not sent as JSON")
	}
	if err != nil {
		panic(err)
	}
	return a(r, body)
}

func reply(status int, text string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(text))}, nil
}

// hang is an application that says nothing until it is given up.
func hang(r *http.Request, _ []byte) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// logbook is a log that may be read while others write.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
