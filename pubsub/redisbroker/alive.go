package redisbroker

import (
	"context"
	"slices"
	"sync"

	"comet/pubsub"
)

// isMixedLife reports whether a page comes from another generation than its
// query's reader or one of its messages. That may be a failover or not, which
// Page.Lives tells.
func isMixedLife(q *pubsub.Query, page *pubsub.Page) bool {
	if q.Gen != 0 && q.Gen != page.Gen {
		return true
	}
	return slices.ContainsFunc(page.Messages, func(m *pubsub.Message) bool { return m.ID.Gen != page.Gen && !m.IsUnreadable() })
}

// livesSeenBy asks the primaries in the eyes of p. What cannot be found out is
// left out, so that a loss is told rather than not.
func (b *Broker) livesSeenBy(ctx context.Context, p *primary) (l pubsub.Lives) {
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout/2) // the page is there, whoever hangs
	defer cancel()
	primaries := []*primary{p}
	if b.sharded() {
		primaries = b.seenBy(ctx, p)
	}
	var mu sync.Mutex
	var all []beginning
	var asked sync.WaitGroup
	for _, other := range primaries {
		asked.Go(func() {
			lives, err := b.livesOf(ctx, other)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if other == p {
				l.Same, l.Whole = lives.same, lives.whole
			} else {
				l.Others = append(l.Others, lives.same...)
			}
			all = append(all, lives.began...)
		})
	}
	asked.Wait()
	for _, one := range all { // now that each knows of all
		l.Began = append(l.Began, pubsub.Beginning{At: one.at, Known: one.known, Of: b.lives.generationsOf(one.life)})
	}
	if len(l.Same) == 0 {
		l.Others = nil // nobody knows how old p's own life is
	}
	return l
}

// seenBy is the primaries in the view of p: one that was replaced is none for
// others, while itself, cut off, may still think so.
func (b *Broker) seenBy(ctx context.Context, p *primary) []*primary {
	nodes, err := p.client.ClusterNodes(ctx).Result()
	if err != nil {
		return nil
	}
	v, err := parseNodes(nodes, p.address)
	if err != nil {
		return nil
	}
	all, _ := b.topology.all(ctx)
	return slices.DeleteFunc(slices.Clone(all), func(other *primary) bool {
		n := v.nodes[other.id]
		return n == nil || !n.primary || !n.healthy
	})
}
