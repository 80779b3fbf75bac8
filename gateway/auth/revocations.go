package auth

import (
	"slices"
	"sync"
	"time"
)

// Revocations remembers which users were thrown out, and when: what they got
// before that is no longer valid. Its methods may be called concurrently.
//
// It forgets nobody early. If there are more than it may hold, the first one
// turns into a time before which nothing of anybody is valid, until that is as
// old as life: then some users need a new token, but nobody comes back in.
type Revocations struct {
	life  time.Duration
	limit int

	mu    sync.Mutex
	users map[string]time.Time
	order []string // of users, as they were revoked
	floor time.Time
}

// NewRevocations makes one of at most limit users. life must be as long as the
// longest life of a token (TokenOptions.MaxAge): one that lives longer is valid
// again after it.
func NewRevocations(life time.Duration, limit int) *Revocations {
	return &Revocations{life: life, limit: limit, users: map[string]time.Time{}}
}

// Revoke makes what user got before at invalid. A time that is earlier than the
// one known, or older than life, changes nothing.
func (r *Revocations) Revoke(user string, at time.Time) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	known, has := r.users[user]
	switch {
	case has && !at.After(known), now.Sub(at) >= r.life:
		return
	case has:
		r.order = slices.DeleteFunc(r.order, func(other string) bool { return other == user })
	}
	r.users[user] = at
	r.order = append(r.order, user)
	if len(r.order) > r.limit {
		if first := r.users[r.order[0]]; first.After(r.floor) {
			r.floor = first
		}
		r.dropFirst()
	}
}

// RevokeAll makes what anybody got before at invalid, for when it is not known
// who was thrown out until then.
func (r *Revocations) RevokeAll(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.After(r.floor) {
		r.floor = at
	}
}

// Revoked reports whether what user got at issuedAt is no longer valid. Tokens
// say when they were issued in whole seconds, so one of the same second as the
// revocation counts as issued before; one that does not say it, too.
func (r *Revocations) Revoked(user string, issuedAt time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(time.Now())
	at, has := r.users[user]
	return has && issuedAt.Before(at) || issuedAt.Before(r.floor)
}

// forget needs mu.
func (r *Revocations) forget(now time.Time) {
	for len(r.order) > 0 && now.Sub(r.users[r.order[0]]) >= r.life {
		r.dropFirst()
	}
	if now.Sub(r.floor) >= r.life {
		r.floor = time.Time{}
	}
}

// dropFirst needs mu.
func (r *Revocations) dropFirst() {
	delete(r.users, r.order[0])
	r.order = r.order[1:]
}
