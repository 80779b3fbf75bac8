package hook

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// TestHeaders: the application gets the headers that it asked for, and an answer
// counts only for the same values. No log line has them.
func TestHeaders(t *testing.T) {
	log := &logbook{}
	var asked []string
	a := newAsker(t, AskerOptions{Headers: []string{"cookie", "X-Tenant"}, Failures: 1, Logger: log.logger()}, func(_ *http.Request, body []byte) (*http.Response, error) {
		asked = append(asked, string(body))
		switch {
		case strings.Contains(string(body), "bad"):
			return reply(500, "no")
		case strings.Contains(string(body), "unknown"):
			return reply(403, "no")
		}
		return reply(200, `{"allow":true,"for":60}`)
	})
	ask := func(h http.Header) (cached bool, err error) {
		q := Question{Action: Subscribe, Channels: []string{"a"}, Address: netip.MustParseAddr("192.0.2.1"), Headers: a.Headers(h)}
		_, cached = a.Cached(q)
		return cached, a.Allowed(t.Context(), q)
	}
	for _, h := range []http.Header{
		{"Cookie": {"session=1", "lang=de"}, "Authorization": {"Bearer x"}},
		{"Cookie": {"session=2"}},
		{"X-Tenant": {"session=2"}},
		{"Cookie": {"session=2"}, "X-Tenant": {"a", "b"}},
		{},
	} {
		if cached, err := ask(h); cached || err != nil {
			t.Errorf("%v: cached %v, %v", h, cached, err)
		}
		if cached, err := ask(h); !cached || err != nil {
			t.Errorf("%v again: cached %v, %v", h, cached, err)
		}
	}
	for i, want := range []string{
		`,"headers":{"cookie":"session=1; lang=de"}}`, `,"headers":{"cookie":"session=2"}}`, `,"headers":{"X-Tenant":"session=2"}}`,
		`,"headers":{"X-Tenant":"a, b","cookie":"session=2"}}`, `,"node":"n1"}`,
	} {
		if !strings.HasSuffix(asked[i], want) {
			t.Errorf("asked %s, want …%s", asked[i], want)
		}
	}
	for _, secret := range []string{"unknown-secret", "bad-secret"} {
		if _, err := ask(http.Header{"Cookie": {secret}}); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", secret, err)
		}
	}
	if text := log.String(); text == "" || strings.Contains(text, "-secret") {
		t.Errorf("the log has %q", text)
	}
}

// Without the option nothing is picked, and nothing allocated.
func TestNoHeaders(t *testing.T) {
	a := newAsker(t, AskerOptions{}, yes)
	h := http.Header{"Cookie": {"session=1"}}
	if n := testing.AllocsPerRun(100, func() { _ = a.Headers(h) }); n > 0 || a.Headers(h) != nil {
		t.Errorf("%v allocations, picked %v", n, a.Headers(h))
	}
}
