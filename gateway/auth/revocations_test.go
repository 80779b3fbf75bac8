package auth

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func revoked(r *Revocations, user string, issuedAt time.Time) bool {
	return r.Check(user, issuedAt) != nil
}

func TestRevocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRevocations(time.Hour, 10)
		now := time.Now()
		r.Revoke("alice", now)
		r.Revoke("alice", now.Add(-time.Minute)) // changes nothing
		r.Revoke("bob", now.Add(-2*time.Hour))   // too old to matter
		for _, test := range []struct {
			user     string
			issuedAt time.Time
			want     bool
		}{
			{"alice", now.Add(-time.Second), true},
			{"alice", time.Time{}, true},
			{"alice", now, false},
			{"alice", now.Add(time.Second), false},
			{"bob", now.Add(-3 * time.Hour), false},
			{"carol", time.Time{}, false},
		} {
			if got := revoked(r, test.user, test.issuedAt); got != test.want {
				t.Errorf("%s, issued %v: %v", test.user, test.issuedAt.Sub(now), got)
			}
		}
		time.Sleep(time.Minute)
		r.Revoke("alice", time.Now())
		if !revoked(r, "alice", now.Add(time.Second)) {
			t.Error("a second revocation does not count")
		}
		time.Sleep(time.Hour)
		if revoked(r, "alice", now) || len(r.users) > 0 || len(r.order) > 0 {
			t.Errorf("not forgotten: %v", r.users)
		}
	})
}

// Beyond the limit more is refused, never less.
func TestRevocationsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRevocations(time.Hour, 3)
		begin := time.Now()
		for i := range 5 {
			time.Sleep(time.Second)
			r.Revoke(strconv.Itoa(i), time.Now())
			r.Revoke("3", time.Now())
		}
		if len(r.users) != 3 || len(r.order) != 3 {
			t.Errorf("%d users, %d in order", len(r.users), len(r.order))
		}
		for i := range 5 {
			if !revoked(r, strconv.Itoa(i), begin) {
				t.Errorf("user %d came back in", i)
			}
		}
		if !revoked(r, "somebody", begin) || revoked(r, "somebody", time.Now()) {
			t.Error("the time for everybody is not that of the first that was dropped")
		}
		time.Sleep(time.Hour)
		if revoked(r, "somebody", begin) {
			t.Error("the time for everybody was not forgotten")
		}
	})
}

// No token that was accepted until a revocation is accepted after it, whatever
// it says of its issue, and however far clocks may differ.
func TestRevocationCoversEveryAcceptedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		for range 3000 {
			const life = time.Hour
			o := TokenOptions{MaxAge: life, Leeway: time.Duration(random.Int64N(int64(time.Minute)))}
			if random.IntN(3) == 0 {
				o.Leeway = o.Leeway.Truncate(time.Second) // as it is configured mostly
			}
			time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
			now := time.Now()
			issued := now.Add(o.Leeway - time.Duration(random.Int64N(int64(3*time.Second))))
			switch random.IntN(4) {
			case 0:
				issued = issued.Truncate(time.Second)
			case 1:
				issued = now.Add(o.Leeway) // the last that is accepted
			}
			claims := &Claims{Subject: "alice", IssuedAt: issued}
			if err := o.Judge(claims); err != nil {
				t.Fatalf("leeway %v, issued %v from now: %v", o.Leeway, issued.Sub(now), err)
			}
			r := NewRevocations(life, 10)
			r.Revoke("alice", time.UnixMilli(Cutoff(now, o.Leeway).UnixMilli())) // as nodes send it
			for _, later := range []time.Duration{0, time.Millisecond, o.Leeway, o.Leeway + time.Second, life, life + o.Leeway} {
				time.Sleep(later)
				if o.Judge(claims) == nil && !revoked(r, "alice", issued) {
					t.Fatalf("leeway %v, issued %v after the revocation: accepted %v after it", o.Leeway, issued.Sub(now), time.Since(now))
				}
			}
		}
	})
}

// A new token of a revoked user is refused for as long as clocks may differ, and
// the error says for how long; one that is issued then is accepted.
func TestRevokedUserComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const leeway = 10 * time.Second
		r := NewRevocations(time.Hour, 10)
		r.Revoke("alice", Cutoff(time.Now(), leeway))
		time.Sleep(4 * time.Second)
		err := r.Check("alice", time.Now())
		wantReason(t, err, Revoked)
		wait := err.(*Error).Wait
		if wait <= 5*time.Second || wait > 7*time.Second {
			t.Errorf("wait %v", wait)
		}
		time.Sleep(wait)
		if err := r.Check("alice", time.Now()); err != nil {
			t.Error(err)
		}
		if err := r.Check("alice", time.Now().Add(-time.Second)); err != ErrRevoked {
			t.Errorf("an old token: %v", err)
		}
	})
}

func TestRevocationsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRevocations(time.Hour, 2)
		now := time.Now()
		for i, user := range []string{"a", "b", "c", "b"} {
			r.Revoke(user, now.Add(time.Duration(i)*time.Second))
		}
		want := []Revocation{{"", now}, {"c", now.Add(2 * time.Second)}, {"b", now.Add(3 * time.Second)}}
		if got := r.All(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if r.Revoke("b", now) || r.RevokeAll(now) || !r.RevokeAll(now.Add(time.Second)) {
			t.Error("wrong about what is news")
		}
		time.Sleep(2 * time.Hour)
		if got := r.All(); len(got) > 0 {
			t.Errorf("not forgotten: %v", got)
		}
	})
}
