package redisbroker

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// errDeposed fails a read whose primary may have been replaced.
var errDeposed = errors.New("it may not be the primary any more, the others do not confirm it")

// confirmedFor is how long a confirmation counts, so that 15,000 channels need
// not ask for one each.
const confirmedFor = time.Second

// crossing is what is confirmed: that readers may go from one generation to
// another. It says nothing of a reader who comes from a third one, which may be
// newer than the confirmation.
type crossing struct{ from, to pubsub.Generation }

// confirmations are what was confirmed lately.
type confirmations struct {
	mu sync.Mutex
	at map[crossing]time.Time
}

func (c *confirmations) fresh(x crossing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.at[x]) < confirmedFor
}

func (c *confirmations) add(x crossing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil || len(c.at) > maxLives {
		c.at = make(map[crossing]time.Time)
	}
	c.at[x] = time.Now()
}

// believable reports whether a page may be given to its reader: one who is in
// another generation could be led back into a log that was replaced. p is who
// answered.
func (b *Broker) believable(ctx context.Context, p *primary, q *pubsub.Query, page *pubsub.Page) bool {
	if q.Gen == 0 || q.Gen == page.Gen {
		return true
	}
	if !b.sharded() && slices.Contains(page.Lives.Same, q.Gen) {
		return true // the same life: it is what it was
	}
	return b.confirm(ctx, p, crossing{q.Gen, page.Gen})
}

// confirm reports whether p, which answered with a generation that the reader
// is not in, is the primary in the eyes of others. One that was frozen or cut
// off while a replica took over does not know that it was replaced, answers
// until it is told, and would have clients go back into its log (found by
// package gateway/failure). A single Redis has nobody to ask.
func (b *Broker) confirm(ctx context.Context, p *primary, x crossing) bool {
	if b.confirmed.fresh(x) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout/2)
	defer cancel()
	ok := true
	switch {
	case b.sharded():
		ok = b.listedByOthers(ctx, p)
	case b.options.Master != "":
		ok = b.namedBySentinels(ctx, x.to)
	}
	if ok {
		b.confirmed.add(x)
	}
	return ok
}

// listedByOthers reports whether every other primary that answers lists p as a
// healthy one, and one does if there are any.
func (b *Broker) listedByOthers(ctx context.Context, p *primary) bool {
	primaries, err := b.topology.all(ctx)
	if err != nil {
		return false
	}
	others := slices.DeleteFunc(slices.Clone(primaries), func(o *primary) bool { return o.address == p.address })
	verdicts := make(chan bool, len(others))
	var all sync.WaitGroup
	for _, other := range others {
		all.Go(func() {
			if nodes, err := other.client.ClusterNodes(ctx).Result(); err == nil {
				verdicts <- slices.Contains(healthyPrimaries(nodes), p.address)
			}
		})
	}
	all.Wait()
	close(verdicts)
	heard := len(others) == 0
	for yes := range verdicts {
		if heard = true; !yes {
			return false
		}
	}
	return heard
}

// namedBySentinels reports whether the primary that most of the Sentinels name
// is in generation gen.
func (b *Broker) namedBySentinels(ctx context.Context, gen pubsub.Generation) bool {
	names := make(chan string, len(b.options.Addresses))
	var all sync.WaitGroup
	for _, address := range b.options.Addresses {
		all.Go(func() { b.askSentinel(ctx, address, names) })
	}
	all.Wait()
	close(names)
	votes := make(map[string]int)
	for name := range names {
		if votes[name]++; 2*votes[name] > len(b.options.Addresses) {
			return b.isIn(ctx, name, gen)
		}
	}
	return false
}

func (b *Broker) askSentinel(ctx context.Context, address string, names chan<- string) {
	o := &b.options
	s := redis.NewSentinelClient(&redis.Options{
		Addr: address, Username: o.SentinelUsername, Password: o.SentinelPassword, TLSConfig: o.TLS,
		DialTimeout: o.Timeout / 2, ContextTimeoutEnabled: true, MaxRetries: -1,
	})
	defer s.Close()
	if pair, err := s.GetMasterAddrByName(ctx, o.Master).Result(); err == nil && len(pair) == 2 {
		names <- net.JoinHostPort(pair[0], pair[1])
	}
}

// isIn reports whether the server at address is a primary in generation gen.
func (b *Broker) isIn(ctx context.Context, address string, gen pubsub.Generation) bool {
	o := &b.options
	c := redis.NewClient(&redis.Options{
		Addr: address, CredentialsProviderContext: o.credentials, DB: o.DB, TLSConfig: o.TLS,
		DialTimeout: o.Timeout / 2, ContextTimeoutEnabled: true, MaxRetries: -1,
	})
	defer c.Close()
	answer, err := lifeScript.evaluate(ctx, c, nil, nil).Slice()
	return err == nil && len(answer) > 0 && answer[0] == int64(gen)
}
