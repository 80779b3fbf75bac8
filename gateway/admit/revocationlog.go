package admit

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

// follow applies the revocations of all nodes until ctx ends, and restores the
// log when it has lost some, see Controller.FollowRevocations.
func (f *revocationFeed) follow(ctx context.Context) {
	lost := make(chan struct{}, 1) // has an item while the log may lack what this node remembers
	ctx, cancel := context.WithCancel(ctx)
	var restoring sync.WaitGroup
	defer restoring.Wait()
	defer cancel()
	restoring.Go(func() { f.restore(ctx, lost) })

	var at *pubsub.Cursor // nil: nothing was read yet
	for warned := false; ctx.Err() == nil; warned = true {
		err := f.followFrom(ctx, &at, lost)
		if ctx.Err() != nil || errors.Is(err, pubsub.ErrClosed) {
			return
		}
		if !warned {
			f.logger.Warn("revocation log unavailable; retrying", "error", err)
		}
		select {
		case <-time.After(revokeRetry):
		case <-ctx.Done():
		}
	}
}

// followFrom follows the log from at, which it moves, until an error. If at is
// nil it reads the whole log first.
func (f *revocationFeed) followFrom(ctx context.Context, at **pubsub.Cursor, lost chan<- struct{}) error {
	if *at == nil {
		first := true
		end, err := f.readLog(ctx, func(m *pubsub.Message, before pubsub.ID) {
			if first && m.Prev != before {
				f.applyTrimmed(m.Prev)
			}
			first = false
			f.apply(m)
		})
		if err != nil {
			return err
		}
		*at = &end
		f.markLoaded()
		if end.Last().IsZero() {
			f.askOthers(ctx)
		}
	}
	s, err := f.hub.Subscribe(ctx, []pubsub.Start{{Channel: revocations, From: pubsub.From{Cursor: *at}}})
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
				f.applyGap(it.Gap, lost)
			case it.Message != nil && it.Message.Type == askType:
				signal(lost)
			case it.Message != nil:
				f.apply(it.Message)
			}
		}
	}
}

// askOthers makes the other nodes check whether the log has been lost, which
// they may not have noticed. If it fails, they notice later.
func (f *revocationFeed) askOthers(ctx context.Context) {
	draft := pubsub.Draft{Channel: revocations, Type: askType, Data: []byte("{}"), Ephemeral: true}
	if err := f.hub.Publish(ctx, []pubsub.Draft{draft})[0].Err; err != nil {
		f.logger.Debug("other nodes not asked for revocations", "error", err)
	}
}

// applyGap handles a gap in the channel: either this node has missed
// revocations, or the log has lost some that this node remembers.
func (f *revocationFeed) applyGap(gap *pubsub.Gap, lost chan<- struct{}) {
	switch gap.Reason {
	case pubsub.Restarted, pubsub.Rewound, pubsub.Failover:
		signal(lost)
	case pubsub.Unreadable: // of another program: no revocation
	default:
		f.applyTrimmed(gap.To)
	}
}

// signal puts an item into c, which has room for one, unless it is full.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// readLog calls use with every message of the log and the ID of the entry before
// it, and returns the end of the log. It skips entries of other programs.
func (f *revocationFeed) readLog(ctx context.Context, use func(m *pubsub.Message, before pubsub.ID)) (end pubsub.Cursor, err error) {
	for at := (pubsub.ID{}); ; {
		page, err := f.hub.Read(ctx, pubsub.Query{Channel: revocations, Cursor: at, Limit: pubsub.MaxPage})
		if err != nil {
			return end, err
		}
		for _, m := range page.Messages {
			if !m.IsUnreadable() {
				use(m, at)
			}
			at = m.ID
		}
		if !page.More {
			return page.EndCursor(), nil
		}
	}
}

// restoreSpread is the longest random wait of a node before it restores the log,
// so that the first node does it and the others find it done.
const restoreSpread = 500 * time.Millisecond

// restore publishes the lost revocations again whenever lost has an item, until
// ctx ends. Nodes that start later could not know them otherwise.
func (f *revocationFeed) restore(ctx context.Context, lost chan struct{}) {
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
			n, err := f.restoreOnce(ctx)
			if err == nil {
				if n > 0 {
					f.logger.Info("revocation log restored", "revocations", n)
				}
				break
			}
			if !warned {
				f.logger.Warn("revocation log not restored; retrying", "error", err)
			}
			wait = revokeRetry
		}
	}
}

// restoreOnce publishes the revocations that this node remembers and the log
// lacks, and returns their number.
func (f *revocationFeed) restoreOnce(ctx context.Context) (n int, err error) {
	remembered := f.revoked.All()    // before the log is read: a revocation applied meanwhile is not missing
	logged := make(map[string]int64) // the newest AtMS by user
	_, err = f.readLog(ctx, func(m *pubsub.Message, _ pubsub.ID) {
		all, _ := revocationsIn(m) // apply reports what cannot be read
		for _, r := range all {
			logged[r.User] = max(logged[r.User], r.AtMS)
		}
	})
	if err != nil {
		return 0, err
	}
	var missing []revocation
	for _, r := range remembered {
		if at := r.Before.UnixMilli(); at > logged[r.User] {
			missing = append(missing, revocation{r.User, at})
		}
	}
	drafts, err := packRevocations(missing)
	if err != nil || len(drafts) == 0 {
		return 0, err
	}
	var failed []error
	for _, result := range f.hub.Publish(ctx, drafts) {
		failed = append(failed, result.Err)
	}
	if err := errors.Join(failed...); err != nil {
		return 0, err
	}
	return len(missing), nil
}

// repeatBytes is about the largest size of a message with several revocations.
// It is less than redis.inline, so the message is relayed whole.
const repeatBytes = 8 << 10

// packRevocations packs revocations into messages.
func packRevocations(all []revocation) (drafts []pubsub.Draft, err error) {
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
