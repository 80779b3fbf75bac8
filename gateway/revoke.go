package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/pubsub"
)

// revocations is the channel in which nodes tell each other which users were
// revoked. Its log is what a node learns from that starts later.
const revocations = reserved + "revocations"

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

// Revoke ends all streams and polls of a user on all nodes, and refuses from now
// on every token of the user that was accepted until now, and those issued until
// Policy.Leeway from now. An error may leave the user revoked on some nodes:
// call it again.
func (g *Gateway) Revoke(ctx context.Context, user string) error {
	before := auth.Cutoff(time.Now(), g.policy.Load().Leeway)
	if store := g.options.RevocationStore; store != nil {
		if err := store.Append(auth.Revocation{User: user, Before: before}); err != nil {
			return fmt.Errorf("keep the revocation: %w", err)
		}
	}
	data, err := json.Marshal(revocation{user, before.UnixMilli()})
	if err != nil {
		return err
	}
	return g.options.Hub.Publish(ctx, []pubsub.Draft{{Channel: revocations, Type: revokeType, Data: data}})[0].Err
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

// heedRevocation applies a message of the channel to this node. One of askType
// is no revocation.
func (g *Gateway) heedRevocation(m *pubsub.Message) {
	all, err := revocationsIn(m)
	if err != nil {
		g.options.Logger.Warn("revocation cannot be read; skipped", "id", m.ID, "error", err)
		return
	}
	for _, r := range all {
		before := time.UnixMilli(r.AtMS)
		switch {
		case r.User == "":
			g.options.Revocations.RevokeAll(before)
		case g.options.Revocations.Revoke(r.User, before):
			g.visitors.evict(r.User, before)
			g.options.Holder.Revoke(r.User, before, conn.Revoked)
		}
	}
}

// missRevocations refuses what any user got before a revocation that the log no
// longer has: whose it was cannot be known. last is the newest such ID.
func (g *Gateway) missRevocations(last pubsub.ID) {
	before := auth.Cutoff(time.UnixMilli(int64(last.MS)), g.policy.Load().Leeway)
	if g.options.Revocations.RevokeAll(before) {
		g.options.Logger.Warn("the revocation log was trimmed; older tokens of all users are refused", "issued_before", before, "setting", "history.size")
	}
}

// hearing bounds how long a request waits for a node that has just started.
const hearing = 5 * time.Second

// errNotHeard says that a node cannot know yet whether a token is still good.
var errNotHeard = errors.New("the revocation log has not been loaded yet")

// awaitRevocations is nil once the node has loaded the revocation log, unless
// the user is revoked. Keys and anonymous clients cannot be.
func (g *Gateway) awaitRevocations(ctx context.Context, who *auth.Principal) error {
	if who.User == "" || g.hasHeard() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, hearing)
	defer cancel()
	select {
	case <-g.heard:
	case <-ctx.Done():
		return errNotHeard
	}
	return g.stillGood(who)
}

func (g *Gateway) hasHeard() bool {
	select {
	case <-g.heard:
		return true
	default:
		return false
	}
}

// stillGood is nil unless the user was revoked after the request was accepted.
func (g *Gateway) stillGood(who *auth.Principal) error {
	if who.User == "" {
		return nil
	}
	return g.options.Revocations.Check(who.User, who.IssuedAt)
}
