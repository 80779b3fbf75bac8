package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"comet/pubsub"
)

// revokeRetry is the wait after a failure to follow or to restore the log.
const revokeRetry = time.Second

// FollowRevocations applies the revocations of all nodes, until ctx ends, and
// restores the log when it has lost some. With Options.Revocations it must run:
// until it has loaded the log, no tokens are accepted.
func (g *Gateway) FollowRevocations(ctx context.Context) {
	lost := make(chan struct{}, 1) // has an item while the log may lack what this node remembers
	ctx, cancel := context.WithCancel(ctx)
	var restoring sync.WaitGroup
	defer restoring.Wait()
	defer cancel()
	restoring.Go(func() { g.restoreRevocations(ctx, lost) })

	var at *pubsub.Cursor // nil: nothing was read yet
	for warned := false; ctx.Err() == nil; warned = true {
		err := g.followRevocations(ctx, &at, lost)
		if ctx.Err() != nil || errors.Is(err, pubsub.ErrClosed) {
			return
		}
		if !warned {
			g.options.Logger.Warn("revocation log unavailable; retrying", "error", err)
		}
		select {
		case <-time.After(revokeRetry):
		case <-ctx.Done():
		}
	}
}

// followRevocations goes on from at, and moves it, until an error.
func (g *Gateway) followRevocations(ctx context.Context, at **pubsub.Cursor, lost chan<- struct{}) error {
	if *at == nil {
		first := true
		end, err := g.readRevocations(ctx, func(m *pubsub.Message, before pubsub.ID) {
			if first && m.Prev != before {
				g.missRevocations(m.Prev)
			}
			first = false
			g.heedRevocation(m)
		})
		if err != nil {
			return err
		}
		*at = &end
		g.hear()
		if end.Last().IsZero() {
			g.askForRevocations(ctx)
		}
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
			switch {
			case it.Gap != nil:
				g.heedGap(it.Gap, lost)
			case it.Message != nil && it.Message.Type == askType:
				signal(lost)
			case it.Message != nil:
				g.heedRevocation(it.Message)
			}
		}
	}
}

// askForRevocations has the other nodes look whether the log has been lost: they
// may not have noticed. Nothing comes of a failure but that they notice later.
func (g *Gateway) askForRevocations(ctx context.Context) {
	draft := pubsub.Draft{Channel: revocations, Type: askType, Data: []byte("{}"), Ephemeral: true}
	if err := g.options.Hub.Publish(ctx, []pubsub.Draft{draft})[0].Err; err != nil {
		g.options.Logger.Debug("other nodes not asked for revocations", "error", err)
	}
}

// heedGap judges a gap in the channel: either this node has missed revocations,
// or the log has lost some that this node remembers.
func (g *Gateway) heedGap(gap *pubsub.Gap, lost chan<- struct{}) {
	switch gap.Reason {
	case pubsub.Restarted, pubsub.Rewound, pubsub.Failover:
		signal(lost)
	case pubsub.UnreadableEntry: // of another program: no revocation
	default:
		g.missRevocations(gap.To)
	}
}

// signal puts an item into c, which has room for one, unless there is one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// readRevocations calls heed with every message of the log and the ID of the
// entry before it, and returns the end of the log. Entries of other programs
// are no messages.
func (g *Gateway) readRevocations(ctx context.Context, heed func(m *pubsub.Message, before pubsub.ID)) (end pubsub.Cursor, err error) {
	for at := (pubsub.ID{}); ; {
		page, err := g.options.Hub.Read(ctx, pubsub.Query{Channel: revocations, Cursor: at, Limit: pubsub.MaxPage})
		if err != nil {
			return end, err
		}
		for _, m := range page.Messages {
			if !m.IsUnreadable() {
				heed(m, at)
			}
			at = m.ID
		}
		if !page.More {
			return page.EndCursor(), nil
		}
	}
}

// restoreSpread is how long nodes wait at most before they restore the log, so
// that the first of them does it and the others find it done.
const restoreSpread = 500 * time.Millisecond

// restoreRevocations publishes again what the log has lost, whenever lost says
// so, until ctx ends. Nodes that start later could not know it otherwise.
func (g *Gateway) restoreRevocations(ctx context.Context, lost chan struct{}) {
	for {
		select {
		case <-lost:
		case <-ctx.Done():
			return
		}
		wait := rand.N(restoreSpread)
		for warned := false; ; warned = true {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
			n, err := g.restoreOnce(ctx)
			if err == nil {
				if n > 0 {
					g.options.Logger.Info("revocation log restored", "revocations", n)
				}
				break
			}
			if !warned {
				g.options.Logger.Warn("revocation log not restored; retrying", "error", err)
			}
			wait = revokeRetry
		}
	}
}

// restoreOnce publishes what this node remembers and the log lacks, and returns
// how many revocations that was.
func (g *Gateway) restoreOnce(ctx context.Context) (n int, err error) {
	logged := make(map[string]int64) // the newest AtMS by user
	_, err = g.readRevocations(ctx, func(m *pubsub.Message, _ pubsub.ID) {
		all, _ := revocationsIn(m) // heedRevocation reports what cannot be read
		for _, r := range all {
			logged[r.User] = max(logged[r.User], r.AtMS)
		}
	})
	if err != nil {
		return 0, err
	}
	var missing []revocation
	for _, r := range g.options.Revocations.All() {
		if at := r.Before.UnixMilli(); at > logged[r.User] {
			missing = append(missing, revocation{r.User, at})
		}
	}
	drafts, err := repeats(missing)
	if err != nil || len(drafts) == 0 {
		return 0, err
	}
	var failed []error
	for _, result := range g.options.Hub.Publish(ctx, drafts) {
		failed = append(failed, result.Err)
	}
	if err := errors.Join(failed...); err != nil {
		return 0, err
	}
	return len(missing), nil
}

// repeatBytes is about how large a message with several revocations gets. It is
// less than what is relayed whole by default (redis.inline).
const repeatBytes = 8 << 10

// repeats packs revocations into messages.
func repeats(all []revocation) (drafts []pubsub.Draft, err error) {
	for len(all) > 0 {
		n, size := 0, 0
		for n < len(all) && size < repeatBytes {
			size += len(all[n].User) + len(`{"user":"","at_ms":1700000000000},`)
			n++
		}
		data, err := json.Marshal(all[:n])
		if err != nil {
			return nil, err
		}
		drafts = append(drafts, pubsub.Draft{Channel: revocations, Type: repeatType, Data: data})
		all = all[n:]
	}
	return drafts, nil
}
