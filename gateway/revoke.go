package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/pubsub"
)

// revocations is the channel in which nodes tell each other who was thrown out.
// Its log is what a node learns from that starts later.
const revocations = reserved + "revocations"

// revocation is a message there.
type revocation struct {
	User string `json:"user"`
	AtMS int64  `json:"at_ms"` // Unix time
}

// Revoke ends all streams and polls of a user on all nodes, and makes the
// tokens that the user has got until now worthless. The errors are Hub.Publish's.
func (g *Gateway) Revoke(ctx context.Context, user string) error {
	data, err := json.Marshal(revocation{user, time.Now().UnixMilli()})
	if err != nil {
		return err
	}
	return g.options.Hub.Publish(ctx, []pubsub.Draft{{Channel: revocations, Type: "revoke", Data: data}})[0].Err
}

// FollowRevocations does what Revoke says on any node, until ctx ends. With
// Options.Revocations it must run: until it has read who was thrown out before,
// tokens are not taken.
func (g *Gateway) FollowRevocations(ctx context.Context) {
	var at *pubsub.Cursor // nil: nothing was read yet
	for warned := false; ctx.Err() == nil; warned = true {
		err := g.followRevocations(ctx, &at)
		if ctx.Err() != nil || errors.Is(err, pubsub.ErrClosed) {
			return
		}
		if !warned {
			g.options.Logger.Warn("cannot hear who is thrown out, will go on trying", "error", err)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// followRevocations goes on from at, and moves it, until an error.
func (g *Gateway) followRevocations(ctx context.Context, at **pubsub.Cursor) error {
	if *at == nil {
		end, err := g.readRevocations(ctx)
		if err != nil {
			return err
		}
		*at = &end
		g.hear()
	}
	s, err := g.options.Hub.Subscribe(ctx, []pubsub.Start{{Channel: revocations, From: pubsub.From{Cursor: *at}}})
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		items, err := s.Next(ctx, pubsub.MaxPage)
		if err != nil {
			return err
		}
		for _, it := range items {
			*at = &it.After
			if it.Gap != nil && it.Gap.Reason == pubsub.Trimmed {
				g.missRevocations(it.Gap.To)
			}
			if it.Message != nil {
				g.heedRevocation(it.Message)
			}
		}
	}
}

// readRevocations reads what the log has, and is where it ends.
func (g *Gateway) readRevocations(ctx context.Context) (end pubsub.Cursor, err error) {
	for {
		page, err := g.options.Hub.Read(ctx, pubsub.Query{Channel: revocations, Cursor: end.ID, Limit: pubsub.MaxPage})
		if err != nil {
			return end, err
		}
		for _, m := range page.Messages {
			if end.ID.IsZero() && !m.Prev.IsZero() {
				g.missRevocations(m.Prev)
			}
			g.heedRevocation(m)
			end.ID = m.ID
		}
		end.Gen = page.Gen
		if !page.More {
			return end, nil
		}
	}
}

func (g *Gateway) heedRevocation(m *pubsub.Message) {
	var r revocation
	if err := json.Unmarshal(m.Data, &r); err != nil || r.User == "" {
		g.options.Logger.Warn("dropped a revocation that makes no sense", "id", m.ID)
		return
	}
	at := time.UnixMilli(r.AtMS)
	g.options.Revocations.Revoke(r.User, at)
	g.visitors.evict(r.User, at)
	g.options.Holder.Evict(r.User, at, conn.Revoked)
}

// missRevocations refuses what anybody got before a revocation that has been
// trimmed, as nobody knows whose it was.
func (g *Gateway) missRevocations(last pubsub.ID) {
	at := time.UnixMilli(int64(last.MS))
	g.options.Logger.Warn("the log no longer has all who were thrown out: older tokens of everyone are refused", "issued_before", at, "setting", "history.size")
	g.options.Revocations.RevokeAll(at)
}

// hearing bounds how long a request waits for a node that has just started.
const hearing = 5 * time.Second

// errNotHeard says that a node cannot know yet whether a token is still good.
var errNotHeard = errors.New("who was thrown out has not been read yet")

// awaitRevocations is nil once the node knows who was thrown out before it
// started. Only users can be.
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

// stillGood is nil unless who was thrown out since the request was let in.
func (g *Gateway) stillGood(who *auth.Principal) error {
	if who.User != "" && g.options.Revocations.Revoked(who.User, who.IssuedAt) {
		return auth.ErrRevoked
	}
	return nil
}
