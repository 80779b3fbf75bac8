package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// primary is a server that takes writes. Its client never sends a command
// twice, and follows no redirect.
type primary struct {
	address string
	client  *redis.Client
	shared  *redis.AutoPipeliner // concurrent publishes share its pipelines
}

func newPrimary(client *redis.Client) (*primary, error) {
	shared, err := client.AutoPipeline()
	if err != nil {
		return nil, err
	}
	return &primary{client.Options().Addr, client, shared}, nil
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
	close() error
}

// single is the topology of one primary, which the Sentinels may exchange
// behind the client.
type single struct{ *primary }

func newSingle(client *redis.Client) (topology, error) {
	p, err := newPrimary(client)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return single{p}, nil
}

func (s single) of(context.Context, string) (*primary, error) { return s.primary, nil }
func (s single) at(context.Context, string) (*primary, error) { return s.primary, nil }
func (s single) all(context.Context) ([]*primary, error)      { return []*primary{s.primary}, nil }
func (s single) refresh(context.Context)                      {}
func (s single) close() error                                 { return errors.Join(s.shared.Close(), s.client.Close()) }

// cluster is the topology of a Redis Cluster. go-redis keeps the map of slots.
type cluster struct {
	client *redis.ClusterClient

	mu        sync.Mutex
	primaries map[*redis.Client]*primary
}

func newCluster(client *redis.ClusterClient) *cluster {
	return &cluster{client: client, primaries: make(map[*redis.Client]*primary)}
}

func (c *cluster) of(ctx context.Context, key string) (*primary, error) {
	client, err := c.client.MasterForKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("%w: find the primary: %w", pubsub.ErrUnavailable, err)
	}
	return c.primaryOf(client)
}

func (c *cluster) primaryOf(client *redis.Client) (*primary, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.primaries[client]
	if p == nil {
		var err error
		if p, err = newPrimary(client); err != nil {
			return nil, err
		}
		c.primaries[client] = p
	}
	return p, nil
}

// refresh asks the cluster for its slots, and forgets who is no primary any
// more: go-redis closes their clients itself.
func (c *cluster) refresh(ctx context.Context) {
	current, err := c.clients(ctx)
	if err != nil {
		return // the old map is the best there is
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for client, p := range c.primaries {
		if !current[client] {
			delete(c.primaries, client)
			_ = p.shared.Close() // its commands fail, as their server's would
		}
	}
}

// clients are those of the primaries, asked for anew.
func (c *cluster) clients(ctx context.Context) (map[*redis.Client]bool, error) {
	var mu sync.Mutex
	clients := make(map[*redis.Client]bool)
	// ForEachMaster is what makes go-redis read the slots before it returns.
	err := c.client.ForEachMaster(ctx, func(_ context.Context, client *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		clients[client] = true
		return nil
	})
	return clients, err
}

func (c *cluster) all(ctx context.Context) (all []*primary, err error) {
	clients, err := c.clients(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: find the primaries: %w", pubsub.ErrUnavailable, err)
	}
	for client := range clients {
		p, err := c.primaryOf(client)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
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

func (c *cluster) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, p := range c.primaries {
		errs = append(errs, p.shared.Close())
	}
	return errors.Join(append(errs, c.client.Close())...)
}
