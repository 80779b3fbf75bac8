package hook

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var answers = []struct {
	text string
	want answer
	ok   bool
}{
	{`{"allow": true}`, answer{allow: true}, true},
	{`{"allow": true, "for": 60}`, answer{allow: true, lifetime: time.Minute}, true},
	{`{"allow": true, "for": 0.5, "other": []}`, answer{allow: true, lifetime: time.Second / 2}, true},
	{`{"allow": true, "for": 1e300}`, answer{allow: true, lifetime: MaxFor}, true},
	{`{"allow": true, "for": null, "reason": null}`, answer{allow: true}, true},
	{`{"allow": true, "reason": "not shown"}`, answer{allow: true}, true},
	{`{"allow": false}`, answer{}, true},
	{`{"allow": false, "reason": "You left the room.", "for": 5}`, answer{reason: "You left the room.", lifetime: 5 * time.Second}, true},
	{`{"allow": false, "reason": "two\nlines"}`, answer{}, true},
	{`{"allow": false, "reason": "` + strings.Repeat("x", maxReason+1) + `"}`, answer{}, true},
	{`{"allow": false, "ALLOW": true}`, answer{}, true},
	{`{"Allow": true}`, answer{}, false},
	{`{"allow": null}`, answer{}, false},
	{`{"allow": "true"}`, answer{}, false},
	{`{"allow": 1}`, answer{}, false},
	{`{"allow": true, "for": -1}`, answer{}, false},
	{`{"allow": true, "for": "60"}`, answer{}, false},
	{`{"allow": true, "for": 1e400}`, answer{}, false},
	{`{"allow": true, "reason": 1}`, answer{}, false},
	{`{"allow": true} {"allow": false}`, answer{}, false},
	{`[{"allow": true}]`, answer{}, false},
	{`true`, answer{}, false},
	{`null`, answer{}, false},
	{`{}`, answer{}, false},
	{``, answer{}, false},
	{`<html>`, answer{}, false},
}

func TestParseAnswer(t *testing.T) {
	for _, c := range answers {
		got, err := parseAnswer([]byte(c.text))
		if (err == nil) != c.ok || got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", c.text, got, err, c.want)
		}
	}
}

func FuzzParseAnswer(f *testing.F) {
	for _, c := range answers {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := parseAnswer(text)
		switch {
		case err != nil && a != answer{}:
			t.Errorf("%+v with %v", a, err)
		case a.allow && !strings.Contains(string(text), "true"):
			t.Errorf("%q is a yes", text)
		case a.lifetime < 0 || a.lifetime > MaxFor:
			t.Errorf("remembered for %v", a.lifetime)
		case len(a.reason) > maxReason || !utf8.ValidString(a.reason):
			t.Errorf("the reason is %q", a.reason)
		}
	})
}
