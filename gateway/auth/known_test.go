package auth

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// Known never verifies: what was not verified lately is not known, good or bad.
func TestKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := mustTokens(t, TokenOptions{Algorithms: []string{"HS256"}, Secrets: [][]byte{[]byte(secretText)}})
		good := hs256(t, alice(nil))
		bad := sign(t, "HS256", []byte(otherText), nil, alice(nil))
		for _, token := range []string{good, bad} {
			if p, known, err := tokens.Known(token); p != nil || known || err != nil {
				t.Errorf("before: %v, %v, %v", p, known, err)
			}
		}
		p, err := tokens.Verify(t.Context(), good)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tokens.Verify(t.Context(), bad)
		wantReason(t, err, BadSignature, bad)
		if again, known, err := tokens.Known(good); again != p || !known || err != nil {
			t.Errorf("good: %v, %v, %v", again, known, err)
		}
		_, known, err := tokens.Known(bad)
		if wantReason(t, err, BadSignature, bad); !known {
			t.Error("the refusal is not known")
		}
		time.Sleep(refusedFor)
		if _, known, _ := tokens.Known(bad); known {
			t.Error("the refusal is remembered for ever")
		}
		time.Sleep(time.Hour)
		_, known, err = tokens.Known(good)
		if wantReason(t, err, Expired, good); !known {
			t.Error("it is forgotten that the token was good")
		}
	})
}

// A token that is not valid yet is accepted as soon as it is.
func TestNotYetValidIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := mustTokens(t, TokenOptions{Algorithms: []string{"HS256"}, Secrets: [][]byte{[]byte(secretText)}})
		token := hs256(t, alice(map[string]any{"nbf": time.Now().Add(2 * time.Second).Unix()}))
		_, err := tokens.Verify(t.Context(), token)
		wantReason(t, err, NotYetValid, token)
		wait := err.(*Error).Wait
		if wait <= 0 || wait > 2*time.Second {
			t.Errorf("wait %v", wait)
		}
		time.Sleep(wait)
		if _, err := tokens.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	})
}

// A refusal that is remembered ends with the keys that it was judged by: a token
// whose key is published afterwards is accepted at once.
func TestRefusalEndsWithKeys(t *testing.T) {
	i := newIssuer(t)
	i.publish(keySetOf(t, "1", pairs()["rsa"]))
	tokens := i.start(t, time.Hour, TokenOptions{})
	if _, err := tokens.Verify(t.Context(), signedBy(t, pairs()["rsa"], "RS256", "1")); err != nil {
		t.Fatal(err)
	}
	// The issuer replaces the key under the same kid, so that nothing asks for it.
	early := signedBy(t, pairs()["p256"], "ES256", "1")
	for range 2 {
		_, err := tokens.Verify(t.Context(), early)
		wantReason(t, err, WrongAlgorithm, early)
	}
	if _, known, _ := tokens.Known(early); !known {
		t.Fatal("the refusal is not remembered")
	}
	i.publish(keySetOf(t, "1", pairs()["p256"]))
	tokens.fetched.newer(t.Context(), tokens.fetched.current())
	if _, err := tokens.Verify(t.Context(), early); err != nil {
		t.Error(err)
	}
}

// A key that is not known is no matter of the token: nothing is remembered, so
// that a token that comes just before its key is accepted right after it.
func TestUnknownKeyIsNotRemembered(t *testing.T) {
	i := newIssuer(t)
	i.publish(keySetOf(t, "1", pairs()["rsa"]))
	tokens := i.start(t, time.Hour, TokenOptions{})
	early := signedBy(t, pairs()["ed"], "EdDSA", "2")
	_, err := tokens.Verify(t.Context(), early)
	wantReason(t, err, BadSignature, early)
	if _, known, _ := tokens.Known(early); known {
		t.Error("the refusal is remembered")
	}
}

// A flood of bad tokens evicts no good one.
func TestBadTokensEvictNoGoodOnes(t *testing.T) {
	a, err := New(Options{Tokens: mustTokens(t, TokenOptions{Algorithms: []string{"HS256"}, Secrets: [][]byte{[]byte(secretText)}})})
	if err != nil {
		t.Fatal(err)
	}
	good := request(http.MethodGet, "/", "Bearer "+hs256(t, alice(nil)))
	if _, err := a.Authenticate(good); err != nil {
		t.Fatal(err)
	}
	tokens := a.options.Tokens
	for i := range 3 * acceptedSize {
		tokens.refused.put(tokenHash{byte(i), byte(i >> 8), byte(i >> 16)}, &verdict{})
	}
	if n := tokens.refused.verdicts.Len(); n > refusedSize {
		t.Errorf("%d refusals are remembered", n)
	}
	if _, known, _ := a.Known(good); !known {
		t.Error("the good token was forgotten")
	}
}
