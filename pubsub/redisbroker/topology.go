package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"comet/pubsub"
)

// primary is a server that takes writes. Its client never sends a command
// twice, and follows no redirect.
type primary struct {
	address string // host:port, a socket's path, or the name that the Sentinels know
	client  *redis.Client
	shared  *redis.AutoPipeliner // concurrent publishes share its pipelines
}

func newPrimary(address string, client *redis.Client) (*primary, error) {
	shared, err := client.AsyncAutoPipeline()
	if err != nil {
		return nil, err
	}
	return &primary{address, client, shared}, nil
}

// share sends a command in a pipeline with others', and waits for the answer
// until ctx ends: the pipeline in front of its own may take its full time too.
// Then cmd must not be looked at any more, and may still be carried out.
func (p *primary) share(ctx context.Context, cmd redis.Cmder) error {
	return p.shared.Submit(ctx, cmd).WaitContext(ctx)
}

// topology says which primary has which key. go-redis would redirect commands
// by itself, but on Cluster it also sends one again whose answer was lost, and
// a publish must not be.
type topology interface {
	// of is the primary that has key, as far as known; refresh asks anew.
	of(ctx context.Context, key string) (*primary, error)
	refresh(ctx context.Context)
	// at is the primary with an address that a redirect named.
	at(ctx context.Context, address string) (*primary, error)
	// all are the primaries now.
	all(ctx context.Context) ([]*primary, error)
	// known are those that have been used, as far as they still are; it does not ask.
	known() []*primary
	close() error
}

// single is the topology of one primary, which the Sentinels may exchange
// behind the client.
type single struct{ *primary }

func newSingle(address string, client *redis.Client) (topology, error) {
	p, err := newPrimary(address, client)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return single{p}, nil
}

func (s single) of(context.Context, string) (*primary, error) { return s.primary, nil }
func (s single) at(context.Context, string) (*primary, error) { return s.primary, nil }
func (s single) all(context.Context) ([]*primary, error)      { return []*primary{s.primary}, nil }
func (s single) known() []*primary                            { return []*primary{s.primary} }
func (s single) refresh(context.Context)                      {}
func (s single) close() error                                 { return errors.Join(s.shared.Close(), s.client.Close()) }

// cluster is the topology of a Redis Cluster. go-redis keeps the map of slots.
type cluster struct {
	client  *redis.ClusterClient
	timeout time.Duration
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	asking  singleflight.Group // when a slot has moved, all publishers ask at once

	mu        sync.Mutex
	primaries map[*redis.Client]*primary
}

func newCluster(client *redis.ClusterClient, timeout time.Duration) *cluster {
	c := &cluster{client: client, timeout: timeout, primaries: make(map[*redis.Client]*primary)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

func (c *cluster) of(ctx context.Context, key string) (*primary, error) {
	client, err := c.client.MasterForKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("%w: find the primary: %w", pubsub.ErrUnavailable, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.primaryOf(client)
}

// primaryOf is what is kept beside a client; c.mu must be held.
func (c *cluster) primaryOf(client *redis.Client) (*primary, error) {
	if p := c.primaries[client]; p != nil {
		return p, nil
	}
	p, err := newPrimary(client.Options().Addr, client)
	if err == nil {
		c.primaries[client] = p
	}
	return p, err
}

func (c *cluster) refresh(ctx context.Context) { _, _ = c.all(ctx) } // else the old map is the best there is

func (c *cluster) all(ctx context.Context) ([]*primary, error) {
	asked := c.asking.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(c.ctx, c.timeout)
		defer cancel()
		return c.ask(ctx)
	})
	select {
	case answer := <-asked:
		if answer.Err != nil {
			return nil, fmt.Errorf("%w: find the primaries: %w", pubsub.ErrUnavailable, answer.Err)
		}
		return answer.Val.([]*primary), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: find the primaries: %w", pubsub.ErrUnavailable, context.Cause(ctx))
	}
}

// ask asks the cluster for its primaries, and forgets who is none any more:
// go-redis closes their clients itself.
func (c *cluster) ask(ctx context.Context) ([]*primary, error) {
	var clients []*redis.Client
	// ForEachMaster is what makes go-redis read the slots before it returns.
	err := c.client.ForEachMaster(ctx, func(_ context.Context, client *redis.Client) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		clients = append(clients, client)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for client, p := range c.primaries {
		if !slices.Contains(clients, client) {
			delete(c.primaries, client)
			_ = p.shared.Close() // its commands fail, as their server's would
		}
	}
	all := make([]*primary, len(clients))
	for i, client := range clients {
		if all[i], err = c.primaryOf(client); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (c *cluster) at(ctx context.Context, address string) (*primary, error) {
	all, err := c.all(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.address == address {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: redirected to %s, which is no primary", pubsub.ErrUnavailable, address)
}

func (c *cluster) known() []*primary {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.primaries))
}

func (c *cluster) close() error {
	c.cancel()
	_, _, _ = c.asking.Do("", func() (any, error) { return nil, nil }) // waits for one under way
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, p := range c.primaries {
		errs = append(errs, p.shared.Close())
	}
	return errors.Join(append(errs, c.client.Close())...)
}

// eachPrimary sorts n things by the primary that has their channel, has do do
// those of each, primaries side by side, and waits. failed is told of a thing
// whose primary cannot be found.
func (b *Broker) eachPrimary(ctx context.Context, n int, channel func(i int) string, failed func(i int, err error), do func(p *primary, at []int)) {
	groups := make(map[*primary][]int)
	for i := range n {
		p, err := b.topology.of(ctx, b.keys.live(channel(i)))
		if err != nil {
			failed(i, err)
			continue
		}
		groups[p] = append(groups[p], i)
	}
	var all sync.WaitGroup
	for p, at := range groups {
		all.Go(func() { do(p, at) })
	}
	all.Wait()
}
