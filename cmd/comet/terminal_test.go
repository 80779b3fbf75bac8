package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"comet/pubsub"
)

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"plain, tab\t, é, 日本, 👩‍👩‍👧, \u200f": "plain, tab\t, é, 日本, 👩‍👩‍👧, \u200f",
		`C:\dir`:                   `C:\dir`,
		"\x1b]0;owned\x07":         `\x1b]0;owned\a`,
		"a\nchat/lobby: forged\r":  `a\nchat/lobby: forged\r`,
		"\u009b31m\x7f\u2028":      `\u009b31m\x7f\u2028`,
		"user \u202egpj.exe\u2066": `user \u202egpj.exe\u2066`,
		"\x00":                     `\x00`,
	} {
		if got := oneLine(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzOneLine(f *testing.F) {
	f.Add("a\x1b\n\u009b\u202e\xff")
	f.Fuzz(func(t *testing.T, text string) {
		harmful := func(r rune) bool { return unicode.IsControl(r) && r != '\t' || reorders(r) }
		if got := oneLine(text); strings.ContainsFunc(got, harmful) {
			t.Errorf("%q: got %q", text, got)
		}
		if !utf8.ValidString(text) {
			return
		}
		data, err := pubsub.TextData(text)
		if err != nil {
			t.Fatal(err)
		}
		safe := safeJSON(data)
		var back string
		if err := json.Unmarshal(safe, &back); err != nil || back != text {
			t.Errorf("%q: got %s, which is %q, %v", text, safe, back, err)
		}
		if strings.ContainsFunc(string(safe), harmful) {
			t.Errorf("%q: got %q", text, safe)
		}
	})
}

// TestSubscribeEscapes checks that messages and server errors are shown but do not
// control the terminal.
func TestSubscribeEscapes(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	const text = "\x1b]0;owned\x07\nother: forged \u009b2J"
	runToEnd(t, "publish", "t", text, "--url", url).wantExit(exitOK)
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, `\x1b]0;owned\a\nother: forged \u009b2J` + "\n"},
		{[]string{"u"}, `t: \x1b]0;owned\a\nother: forged \u009b2J` + "\n"},
	} {
		p := runToEnd(t, append([]string{"subscribe", "t", "--last", "1", "--count", "1", "--url", url}, test.args...)...)
		p.wantExit(exitOK)
		p.wantOut(test.want)
	}
	p := runToEnd(t, "subscribe", "t", "--last", "1", "--count", "1", "--json", "--url", url)
	p.wantExit(exitOK)
	var m struct{ Data string }
	if out := p.out.String(); json.Unmarshal([]byte(out), &m) != nil || m.Data != text || strings.ContainsAny(out, "\x1b\u009b") {
		t.Errorf("as JSON: %q", out)
	}
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"title":"No\u001b[2J","detail":"\u009b31m","status":403}`))
	}))
	t.Cleanup(evil.Close)
	refused := runToEnd(t, "subscribe", "t", "--url", evil.URL)
	refused.wantExit(exitFailure)
	if text := refused.errOut.String(); strings.ContainsAny(text, "\x1b\u009b") || !strings.Contains(text, `\x1b[2J`) {
		t.Errorf("a server's error is shown as %q", text)
	}
}
