package auth

import (
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

// No token but a signed one counts, and none shows up in an error.
func FuzzVerify(f *testing.F) {
	tokens := mustTokens(f, TokenOptions{Algorithms: []string{"HS256"}, Secrets: [][]byte{[]byte(secretText)}})
	right := hs256(f, alice(nil))
	for _, token := range []string{right, unsigned(f, "none", alice(nil)), unsigned(f, "HS256", alice(nil)), "bnVsbA.bnVsbA.", "..", "", right + "=", right[:len(right)-1]} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		p, err := tokens.Verify(t.Context(), token)
		if err == nil {
			if token != right {
				t.Fatalf("%q is a token of %+v", token, p)
			}
			return
		}
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Fatalf("%q: %T", token, err)
		}
		if len(token) > 20 && strings.Contains(err.Error(), token) {
			t.Fatalf("%q shows the token", err)
		}
	})
}

// Claims that are read are written and read again as the same.
func FuzzClaims(f *testing.F) {
	for _, text := range []string{
		`{"sub":"alice","iss":"i","aud":"a","exp":1,"nbf":1.5,"iat":0,"comet":{"subscribe":["chat/**"],"publish":[],"info":{"a":[1, 2]}}}`,
		`{"aud":["a","b"],"comet":{"history":["*"],"presence":["**/x"]}}`,
		`{"sub":"a","SUB":"b","exp":null}`, `null`, `[]`, `{"exp":1e999}`, `{"comet":{"info":null}}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c, again Claims
		if json.Unmarshal([]byte(text), &c) != nil {
			return
		}
		for _, at := range []*time.Time{&c.IssuedAt, &c.NotBefore, &c.Expires} {
			if !at.IsZero() {
				*at = at.Truncate(time.Second)
			}
		}
		written, err := json.Marshal(&c)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if err := json.Unmarshal(written, &again); err != nil {
			t.Fatalf("%q was written as %s: %v", text, written, err)
		}
		if len(c.Audience) == 0 {
			c.Audience, again.Audience = nil, nil
		}
		// Info is JSON of the same meaning: encoding/json escapes < and the like.
		c.Info, again.Info = nil, nil
		if !reflect.DeepEqual(c, again) {
			t.Fatalf("%q is %+v, written and read again %+v", text, c, again)
		}
	})
}

// A stripped query has no token that would be accepted, and all other parameters.
func FuzzStripQuery(f *testing.F) {
	for _, test := range stripTests {
		f.Add(test.raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		stripped := StripQuery(raw)
		if len(queryTokens(stripped)) > 0 || StripQuery(stripped) != stripped {
			t.Fatalf("%q is stripped to %q", raw, stripped)
		}
		before, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		after, err := url.ParseQuery(stripped)
		if err != nil {
			t.Fatalf("%q is stripped to %q: %v", raw, stripped, err)
		}
		for name := range before {
			if !strings.Contains(strings.ToLower(name), tokenParameter) && !reflect.DeepEqual(before[name], after[name]) {
				t.Fatalf("%q has another %q in %q", raw, name, stripped)
			}
		}
	})
}

func FuzzParseKeySet(f *testing.F) {
	for _, p := range pairs() {
		f.Add(keySetOf(f, "a", p))
	}
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Add([]byte(`{"keys":[null,1,{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		found, _, err := parseKeySet(text)
		if (err == nil) == (len(found) == 0) {
			t.Fatalf("%q: %d keys, %v", text, len(found), err)
		}
		for _, v := range found {
			if v.fits("HS256") || v.fits("none") || checkPublicKey(v.key) != nil {
				t.Fatalf("%q has the key %T", text, v.key)
			}
		}
	})
}
