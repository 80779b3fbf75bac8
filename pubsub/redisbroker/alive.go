package redisbroker

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"comet/pubsub"
)

// isMixedLife reports whether a page comes from another generation than its
// query's reader or one of its messages. That may be a failover or not, which
// Page.Alive tells.
func isMixedLife(q *pubsub.Query, page *pubsub.Page) bool {
	if q.Gen != 0 && q.Gen != page.Gen {
		return true
	}
	return slices.ContainsFunc(page.Messages, func(m *pubsub.Message) bool { return m.ID.Gen != page.Gen })
}

// alive is which primaries there are, as one sees it that has answered.
type alive struct {
	own    []pubsub.Generation // of its life
	others []pubsub.Generation // of the other primaries' lives
	since  time.Time           // when the newest of all these lives began
}

// clockSkew is how far the clocks of nodes and of Redis servers may differ.
const clockSkew = time.Second

// to is what is alive to the reader of a query, see pubsub.Page. Since a channel
// moved away from one that lives, it may have been at one that failed and took
// what nobody saw with it; so that nothing has changed since the reader was
// there is what clears the others.
func (a *alive) to(q *pubsub.Query) []pubsub.Generation {
	seen := q.Seen
	if seen.IsZero() {
		seen = time.UnixMilli(int64(q.Cursor.MS))
	}
	if len(a.own) > 0 && a.since.Add(clockSkew).Before(seen) {
		return slices.Concat(a.own, a.others)
	}
	return a.own
}

// alive asks the primaries in the eyes of p. What cannot be found out is not
// alive, so that a loss is told rather than not.
func (b *Broker) alive(ctx context.Context, p *primary) (a alive) {
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout/2) // the page is there, whoever hangs
	defer cancel()
	primaries := []*primary{p}
	if b.sharded() {
		primaries = b.seenBy(ctx, p)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, other := range primaries {
		all.Go(func() {
			same, since, err := b.livesOf(ctx, other)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if other.address == p.address {
				a.own = same
			} else {
				a.others = append(a.others, same...)
			}
			if since.After(a.since) {
				a.since = since
			}
		})
	}
	all.Wait()
	return a
}

// seenBy is the primaries in the eyes of p: one that was replaced is none for
// others, while itself, cut off, may still think so.
func (b *Broker) seenBy(ctx context.Context, p *primary) []*primary {
	nodes, err := p.client.ClusterNodes(ctx).Result()
	if err != nil {
		return nil
	}
	healthy := healthyPrimaries(nodes)
	all, _ := b.topology.all(ctx)
	return slices.DeleteFunc(slices.Clone(all), func(p *primary) bool { return !slices.Contains(healthy, p.address) })
}

// healthyPrimaries reads CLUSTER NODES: lines of
//
//	<id> <address>@<bus port>[,<name>] <flags, comma-separated> …
func healthyPrimaries(nodes string) (addresses []string) {
	for line := range strings.Lines(nodes) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		address, _, _ := strings.Cut(fields[1], "@")
		flags := "," + fields[2] + ","
		if strings.Contains(flags, ",master,") && !strings.Contains(flags, "fail") && !strings.Contains(flags, ",noaddr,") {
			addresses = append(addresses, address)
		}
	}
	return addresses
}
