package auth

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

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
			if got := r.Revoked(test.user, test.issuedAt); got != test.want {
				t.Errorf("%s, issued %v: %v", test.user, test.issuedAt.Sub(now), got)
			}
		}
		time.Sleep(time.Minute)
		r.Revoke("alice", time.Now())
		if !r.Revoked("alice", now.Add(time.Second)) {
			t.Error("a second revocation does not count")
		}
		time.Sleep(time.Hour)
		if r.Revoked("alice", now) || len(r.users) > 0 || len(r.order) > 0 {
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
			if !r.Revoked(strconv.Itoa(i), begin) {
				t.Errorf("user %d came back in", i)
			}
		}
		if !r.Revoked("somebody", begin) || r.Revoked("somebody", time.Now()) {
			t.Error("the time for everybody is not that of the first that was dropped")
		}
		time.Sleep(time.Hour)
		if r.Revoked("somebody", begin) {
			t.Error("the time for everybody was not forgotten")
		}
	})
}
