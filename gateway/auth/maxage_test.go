package auth

import (
	"testing"
	"testing/synctest"
	"time"
)

// No token is taken longer than a revocation is remembered, so that none is
// good again after it.
func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxAge = time.Hour
		tokens := mustTokens(t, TokenOptions{Algorithms: []string{"HS256"}, Secrets: [][]byte{[]byte(secretText)},
			MaxAge: maxAge, Leeway: time.Minute, Grace: time.Second})
		revocations := NewRevocations(maxAge, 10)
		a, err := New(Options{Tokens: tokens, Revocations: revocations})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().Truncate(time.Second)
		issued := func(at time.Time, more map[string]any) string {
			more["iat"] = at.Unix()
			return hs256(t, alice(more))
		}
		long := issued(now, map[string]any{"exp": nil})
		ahead := issued(now.Add(time.Minute), map[string]any{"sub": "bob", "exp": now.Add(24 * time.Hour).Unix()})
		short := issued(now, map[string]any{"sub": "carol", "exp": now.Add(time.Minute).Unix()})
		for token, want := range map[string]time.Time{long: now.Add(maxAge + time.Second), short: now.Add(2 * time.Minute)} {
			if p, err := tokens.Verify(t.Context(), token); err != nil || !p.Ends.Equal(want) {
				t.Errorf("got %+v, %v; want an end at %v", p, err, want)
			}
		}
		_, err = tokens.Verify(t.Context(), hs256(t, alice(nil)))
		wantReason(t, err, Malformed)
		revocations.Revoke("bob", now.Add(time.Minute+time.Second))

		time.Sleep(time.Until(now.Add(maxAge)))
		_, err = a.Authenticate(request("GET", "/", "Bearer "+long))
		wantReason(t, err, Expired, long)
		for range 4 { // past the end of the memory, too
			if _, err := a.Authenticate(request("GET", "/", "Bearer "+ahead)); err == nil {
				t.Errorf("after %v a revoked token is good again", time.Since(now))
			}
			time.Sleep(30 * time.Second)
		}
	})
}

// RevokeAll refuses tokens that were issued before its time.
func TestRevokeAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRevocations(time.Hour, 10)
		now := time.Now()
		r.RevokeAll(now)
		r.RevokeAll(now.Add(-time.Minute)) // changes nothing
		if !revoked(r, "alice", now.Add(-time.Second)) || revoked(r, "alice", now) {
			t.Error("not exactly what was issued before is refused")
		}
		time.Sleep(time.Hour)
		if revoked(r, "alice", now.Add(-time.Second)) {
			t.Error("not forgotten")
		}
	})
}
