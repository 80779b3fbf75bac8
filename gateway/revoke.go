package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"time"

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

// FollowRevocations does what Revoke says on any node, until ctx ends.
func (g *Gateway) FollowRevocations(ctx context.Context) {
	from := pubsub.From{Earliest: true}
	for ctx.Err() == nil {
		last, err := g.followRevocations(ctx, from)
		if last != nil {
			from = pubsub.From{Cursor: last}
		}
		if ctx.Err() != nil || errors.Is(err, pubsub.ErrClosed) {
			return
		}
		g.options.Logger.Warn("cannot hear who is thrown out, will try again", "error", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// followRevocations follows until an error; last is where it was, nil for
// nowhere.
func (g *Gateway) followRevocations(ctx context.Context, from pubsub.From) (last *pubsub.Cursor, err error) {
	s, err := g.options.Hub.Subscribe(ctx, []pubsub.Start{{Channel: revocations, From: from}})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for {
		items, err := s.Next(ctx, pubsub.MaxPage)
		if err != nil {
			return last, err
		}
		for _, it := range items {
			last = &it.After
			if it.Message != nil {
				g.heedRevocation(it.Message)
			}
		}
	}
}

func (g *Gateway) heedRevocation(m *pubsub.Message) {
	var r revocation
	if err := json.Unmarshal(m.Data, &r); err != nil || r.User == "" {
		g.options.Logger.Warn("dropped a revocation that makes no sense", "id", m.ID)
		return
	}
	g.options.Revocations.Revoke(r.User, time.UnixMilli(r.AtMS))
	g.evict(r.User)
}
