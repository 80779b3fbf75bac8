package hook

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestVerify(t *testing.T) {
	now := time.Unix(1795332004, 0)
	secret, body := []byte(secretText), []byte(`{"a":1}`)
	right := sign(secret, body, now)
	for _, c := range []struct {
		name   string
		secret string
		header string
		body   string
		now    time.Time
		ok     bool
	}{
		{"right", secretText, right, `{"a":1}`, now, true},
		{"just young enough", secretText, right, `{"a":1}`, now.Add(Tolerance), true},
		{"a clock that is behind", secretText, right, `{"a":1}`, now.Add(-Tolerance), true},
		{"too old", secretText, right, `{"a":1}`, now.Add(Tolerance + time.Second), false},
		{"of the future", secretText, right, `{"a":1}`, now.Add(-Tolerance - time.Second), false},
		{"another body", secretText, right, `{"a":2}`, now, false},
		{"another secret", strings.ToUpper(secretText), right, `{"a":1}`, now, false},
		{"no secret", "", sign(nil, body, now), `{"a":1}`, now, false},
		{"a later time on an old signature", secretText, strings.Replace(right, "t=1795332004", "t=1795332005", 1), `{"a":1}`, now, false},
		{"the time with a sign", secretText, strings.Replace(right, "t=", "t=+", 1), `{"a":1}`, now, false},
		{"no time", secretText, right[strings.Index(right, ",")+1:], `{"a":1}`, now, false},
		{"more after it", secretText, right + ",v1=" + strings.Repeat("0", 64), `{"a":1}`, now, false},
		{"digits in upper case", secretText, strings.ToUpper(right), `{"a":1}`, now, false},
		{"the greatest time", secretText, sign(secret, body, time.Unix(1<<63-1, 0)), `{"a":1}`, now, false},
		{"the least time", secretText, sign(secret, body, time.Unix(-1<<63, 0)), `{"a":1}`, now, false},
		{"nothing", secretText, "", `{"a":1}`, now, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Verify([]byte(c.secret), c.header, []byte(c.body), c.now)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrSignature) {
				t.Errorf("got %v, want ok: %v", err, c.ok)
			}
			if err != nil {
				wantSilent(t, err.Error())
			}
		})
	}
}

// Verify accepts what sign returns, and nothing else.
func FuzzVerify(f *testing.F) {
	now := time.Unix(1795332004, 0)
	f.Add(sign([]byte(secretText), []byte("[]"), now), []byte("[]"))
	f.Add("t=1795332004,v1=", []byte(""))
	f.Add("t=-1,v1=00", []byte("{}"))
	f.Add("", []byte(""))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		if Verify([]byte(secretText), sign([]byte(secretText), body, now), body, now) != nil {
			t.Errorf("what was signed does not verify")
		}
		if Verify([]byte(secretText), header, body, now) != nil {
			return
		}
		for second := -Tolerance; second <= Tolerance; second += time.Second {
			if header == sign([]byte(secretText), body, now.Add(second)) {
				return
			}
		}
		t.Errorf("%q verifies", header)
	})
}
