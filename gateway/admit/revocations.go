package admit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/pubsub"
)

// revocations is the channel that carries revocations between nodes. A node that
// starts reads its log.
const revocations = pubsub.ControlPrefix + "revocations"

// Types of the messages there. Data is a revocation, or a list of revocations
// that a node publishes again after the log has lost some. A node that starts and
// finds no log asks, by an ephemeral message, whether there should be one.
const (
	revokeType = "revoke"
	repeatType = "revocations"
	askType    = "ask"
)

// revocation says that tokens issued before a time are refused.
type revocation struct {
	User string `json:"user"`  // empty: of every user
	AtMS int64  `json:"at_ms"` // Unix time, exclusive
}

// RevocationStore keeps revocations where a restart of the node finds them. It
// is needed only where no log outlives the node.
type RevocationStore interface {
	// Append returns once the revocation is on disk.
	Append(auth.Revocation) error
}

// revocationFeed publishes the revocations of this node and applies those of all
// nodes. Its methods may be called concurrently.
type revocationFeed struct {
	hub     *pubsub.Hub
	revoked *auth.Revocations
	store   RevocationStore      // nil: the log alone keeps them
	leeway  func() time.Duration // of tokens, which a revocation must cover
	close   func(user string, before time.Time)
	logger  *slog.Logger

	loaded     chan struct{} // closed once the log has been read
	markLoaded func()        // closes it
}

func newRevocationFeed(hub *pubsub.Hub, revoked *auth.Revocations, store RevocationStore, logger *slog.Logger) *revocationFeed {
	f := &revocationFeed{hub: hub, revoked: revoked, store: store, logger: logger, loaded: make(chan struct{})}
	f.markLoaded = sync.OnceFunc(func() { close(f.loaded) })
	if revoked == nil {
		f.revoked = auth.NewRevocations(time.Hour, 1000)
		f.markLoaded()
	}
	return f
}

// revoke publishes the revocation of a user, see Controller.Revoke.
func (f *revocationFeed) revoke(ctx context.Context, user string) error {
	before := auth.Cutoff(time.Now(), f.leeway())
	if f.store != nil {
		if err := f.store.Append(auth.Revocation{User: user, Before: before}); err != nil {
			return fmt.Errorf("keep the revocation: %w", err)
		}
	}
	data, err := json.Marshal(revocation{user, before.UnixMilli()})
	if err != nil {
		return err
	}
	return f.hub.Publish(ctx, []pubsub.Draft{{Channel: revocations, Type: revokeType, Data: data}})[0].Err
}

// revocationsIn decodes a message of the channel.
func revocationsIn(m *pubsub.Message) (all []revocation, err error) {
	if m.Type == repeatType {
		err = json.Unmarshal(m.Data, &all)
	} else {
		all = make([]revocation, 1)
		err = json.Unmarshal(m.Data, &all[0])
		if err == nil && all[0].User == "" {
			err = errors.New("it names no user")
		}
	}
	return all, err
}

// apply refuses the tokens that a message of the channel revokes, and closes the
// connections that were opened with them. The message is not of askType.
func (f *revocationFeed) apply(m *pubsub.Message) {
	all, err := revocationsIn(m)
	if err != nil {
		f.logger.Warn("revocation cannot be read; skipped", "id", m.ID, "error", err)
		return
	}
	for _, r := range all {
		before := time.UnixMilli(r.AtMS)
		switch {
		case r.User == "":
			f.revoked.RevokeAll(before)
		case f.revoked.Revoke(r.User, before):
			f.close(r.User, before)
		}
	}
}

// applyTrimmed revokes the tokens of all users that are older than the newest
// revocation that the log has lost: it is not known which users those revoked.
func (f *revocationFeed) applyTrimmed(newest pubsub.ID) {
	before := auth.Cutoff(time.UnixMilli(int64(newest.MS)), f.leeway())
	if f.revoked.RevokeAll(before) {
		f.logger.Warn("the revocation log was trimmed; older tokens of all users are refused", "issued_before", before, "setting", "history.size")
	}
}

// loadTimeout bounds how long a request waits for a node that has just started.
const loadTimeout = 5 * time.Second

// ErrNotLoaded says that the node does not know yet whether a token was revoked.
var ErrNotLoaded = errors.New("the revocation log has not been loaded yet")

// await waits until the log has been loaded, and then returns an error if the
// user is revoked. Keys and anonymous clients have no user and do not wait.
func (f *revocationFeed) await(ctx context.Context, p *auth.Principal) error {
	if p.User == "" || f.isLoaded() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	select {
	case <-f.loaded:
	case <-ctx.Done():
		return ErrNotLoaded
	}
	return f.check(p)
}

func (f *revocationFeed) isLoaded() bool {
	select {
	case <-f.loaded:
		return true
	default:
		return false
	}
}

// check returns an error if the user was revoked after the token was accepted.
func (f *revocationFeed) check(p *auth.Principal) error {
	if p.User == "" {
		return nil
	}
	return f.revoked.Check(p.User, p.IssuedAt)
}

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
