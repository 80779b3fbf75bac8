package admit

import (
	"context"
	"sync"
	"time"

	"comet/gateway/conn"
)

// connsByUser indexes the streams and polls that a request holds by user, so that
// a revocation can close them. Anonymous ones are not indexed.
type connsByUser struct {
	mu    sync.Mutex
	conns map[string]map[*indexedConn]struct{}
}

// indexedConn is one stream or poll.
type indexedConn struct {
	issued time.Time // of its token; zero: not known
	cancel context.CancelCauseFunc
}

// add indexes a stream or poll that cancel ends. Call remove when it has ended.
func (c *connsByUser) add(user string, issued time.Time, cancel context.CancelCauseFunc) (remove func()) {
	if user == "" {
		return func() {}
	}
	one := &indexedConn{issued, cancel}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conns == nil {
		c.conns = make(map[string]map[*indexedConn]struct{})
	}
	if c.conns[user] == nil {
		c.conns[user] = make(map[*indexedConn]struct{})
	}
	c.conns[user][one] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if delete(c.conns[user], one); len(c.conns[user]) == 0 {
			delete(c.conns, user)
		}
	}
}

// revoke ends the streams and polls of a user whose token was issued before a
// time.
func (c *connsByUser) revoke(user string, before time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for one := range c.conns[user] {
		if one.issued.Before(before) {
			one.cancel(conn.Revoked)
		}
	}
}
