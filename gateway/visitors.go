package gateway

import (
	"context"
	"sync"
	"time"

	"comet/gateway/conn"
)

// visitors are the users whose streams and polls goroutines hold, to be thrown
// out. Nobody's are not noted.
type visitors struct {
	mu     sync.Mutex
	byUser map[string]map[*visitor]struct{}
}

// visitor is one stream or poll.
type visitor struct {
	issued time.Time // what lets it in; zero: not known
	cancel context.CancelCauseFunc
}

// enter notes one that cancel ends. Call out when it has.
func (v *visitors) enter(user string, issued time.Time, cancel context.CancelCauseFunc) (out func()) {
	if user == "" {
		return func() {}
	}
	one := &visitor{issued, cancel}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.byUser == nil {
		v.byUser = make(map[string]map[*visitor]struct{})
	}
	if v.byUser[user] == nil {
		v.byUser[user] = make(map[*visitor]struct{})
	}
	v.byUser[user][one] = struct{}{}
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if delete(v.byUser[user], one); len(v.byUser[user]) == 0 {
			delete(v.byUser, user)
		}
	}
}

// evict ends all of a user that was issued before a time.
func (v *visitors) evict(user string, before time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for one := range v.byUser[user] {
		if one.issued.Before(before) {
			one.cancel(conn.Revoked)
		}
	}
}
