package auth

import (
	"math"
	"slices"
	"sync"
	"time"
)

// Revocations holds the time of revocation by user: tokens that were issued before it
// are refused. Its methods may be called concurrently. A nil *Revocations revokes
// nothing.
//
// It never forgets a revocation early. Beyond its limit, the oldest one becomes a
// floor, before which no token of any user is accepted, until it is as old as life.
// Then some users need a new token, but no revoked token is accepted again.
type Revocations struct {
	life  time.Duration
	limit int

	mu    sync.Mutex
	users map[string]time.Time
	order []string // users, the first revoked first
	floor time.Time
}

// Revocation refuses tokens that were issued before a time.
type Revocation struct {
	User   string // empty: of every user
	Before time.Time
}

// NewRevocations makes Revocations of at most limit users. life must be at least the
// maximum age of a token (TokenOptions.MaxAge). A token that lives longer would be
// valid again after it.
func NewRevocations(life time.Duration, limit int) *Revocations {
	return &Revocations{life: life, limit: limit, users: map[string]time.Time{}}
}

// Cutoff returns the time before which tokens must have been issued so that a
// revocation at now covers every token that was accepted until now. A token may
// say that it was issued up to leeway (TokenOptions.Leeway) in the future. The
// result is in whole milliseconds, rounded up.
func Cutoff(now time.Time, leeway time.Duration) time.Time {
	return time.UnixMilli(now.Add(leeway).UnixMilli() + 1)
}

// Revoke refuses the tokens of user that were issued before a time. It reports whether
// that changed anything: a time before the known one or older than life does not.
func (r *Revocations) Revoke(user string, before time.Time) (news bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	known, has := r.users[user]
	switch {
	case has && !before.After(known), now.Sub(before) >= r.life:
		return false
	case has:
		r.order = slices.DeleteFunc(r.order, func(other string) bool { return other == user })
	}
	r.users[user] = before
	r.order = append(r.order, user)
	if len(r.order) > r.limit {
		if first := r.users[r.order[0]]; first.After(r.floor) {
			r.floor = first
		}
		r.dropFirst()
	}
	return true
}

// RevokeAll refuses the tokens of every user that were issued before a time, for when
// earlier revocations are unknown. It reports whether that changed anything.
func (r *Revocations) RevokeAll(before time.Time) (news bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !before.After(r.floor) || now.Sub(before) >= r.life {
		return false
	}
	r.floor = before
	return true
}

func (r *Revocations) add(one Revocation) {
	if one.User == "" {
		r.RevokeAll(one.Before)
		return
	}
	r.Revoke(one.User, one.Before)
}

// Check returns nil, or an *Error of reason Revoked, for a token of user that was
// issued at issuedAt; zero: unknown. Its Wait is how long new tokens of the user are
// refused too, because they could have been issued before the revocation.
func (r *Revocations) Check(user string, issuedAt time.Time) error {
	if r == nil {
		return nil
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	before := r.floor
	if at := r.users[user]; at.After(before) {
		before = at
	}
	// Tokens have their time in whole seconds, so one that is issued in the second of
	// before is refused as well.
	switch wait := before.Add(time.Second - 1).Truncate(time.Second).Sub(now); {
	case !issuedAt.Before(before):
		return nil
	case wait <= 0:
		return ErrRevoked
	default:
		return refuseFor(wait, Revoked, "The token was revoked after it was issued: get one that is issued in %d s or later.", int(math.Ceil(wait.Seconds())))
	}
}

// All returns the revocations, the oldest first.
func (r *Revocations) All() []Revocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(time.Now())
	all := make([]Revocation, 0, len(r.order)+1)
	if !r.floor.IsZero() {
		all = append(all, Revocation{Before: r.floor})
	}
	for _, user := range r.order {
		all = append(all, Revocation{user, r.users[user]})
	}
	return all
}

// forget drops revocations as old as life. The caller holds mu.
func (r *Revocations) forget(now time.Time) {
	for len(r.order) > 0 && now.Sub(r.users[r.order[0]]) >= r.life {
		r.dropFirst()
	}
	if now.Sub(r.floor) >= r.life {
		r.floor = time.Time{}
	}
}

// dropFirst requires mu.
func (r *Revocations) dropFirst() {
	delete(r.users, r.order[0])
	r.order = r.order[1:]
}
