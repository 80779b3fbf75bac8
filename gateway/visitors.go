package gateway

import (
	"context"
	"sync"

	"comet/gateway/conn"
)

// visitors are the users whose streams and polls goroutines hold, to be thrown
// out. Nobody's are not noted.
type visitors struct {
	mu     sync.Mutex
	byUser map[string]map[*context.CancelCauseFunc]struct{}
}

// enter notes one that cancel ends. Call out when it has.
func (v *visitors) enter(user string, cancel context.CancelCauseFunc) (out func()) {
	if user == "" {
		return func() {}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.byUser == nil {
		v.byUser = make(map[string]map[*context.CancelCauseFunc]struct{})
	}
	if v.byUser[user] == nil {
		v.byUser[user] = make(map[*context.CancelCauseFunc]struct{})
	}
	v.byUser[user][&cancel] = struct{}{}
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if delete(v.byUser[user], &cancel); len(v.byUser[user]) == 0 {
			delete(v.byUser, user)
		}
	}
}

// evict ends all of a user.
func (v *visitors) evict(user string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for cancel := range v.byUser[user] {
		(*cancel)(conn.Revoked)
	}
}
