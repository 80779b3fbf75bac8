package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// maxOthersAsked is the maximum number of addresses of other nodes than primaries asked
// in a round. If there are more, they are chosen at random.
const maxOthersAsked = 32

// cluster is the topology of a Redis Cluster. Every round asks the nodes in parallel, at
// the addresses of the settings and at those that nodes named, and merges the newest of
// their answers. The node ID identifies a primary; an address is only where to connect.
type cluster struct {
	options Options
	askers  askers[*redis.Client]
	rounds  rounds[[]*view]
	now     atomic.Pointer[clusterMap] // nil until a node has answered
	retired sync.WaitGroup             // primaries being closed

	mu     sync.Mutex          // guards all below, and changes of now
	guests map[string]*primary // nodes without slots that a redirect named, by ID
	closed bool
}

// clusterMap is which primary has which slot. It is immutable.
type clusterMap struct {
	owner     [slots]*primary
	primaries []*primary        // all with slots
	unowned   int               // number of slots without a primary
	names     map[string]string // node ID by the address in a redirect
	replicas  map[string]int    // number of replicas by ID of the primary
}

func newCluster(o Options) *cluster {
	c := &cluster{options: o, guests: make(map[string]*primary)}
	c.askers.open = func(address string) (*redis.Client, *dialer) {
		d := newDialer(&o)
		options := o.clientOptions(address, d)
		options.DialerRetries, options.PoolSize = 1, askerPool
		return redis.NewClient(options), d
	}
	c.askers.keep(o.Addresses)
	c.rounds.run = c.ask
	return c
}

func (c *cluster) moves() bool { return true }

func (c *cluster) whole() error {
	if m := c.now.Load(); m != nil && m.unowned > 0 {
		return fmt.Errorf("%d of %d slots of the Redis Cluster have no primary", m.unowned, slots)
	}
	return nil
}

func (c *cluster) replicas(p *primary) int {
	if m := c.now.Load(); m != nil {
		return m.replicas[p.id]
	}
	return 0
}

func (c *cluster) of(ctx context.Context, key string) (*primary, error) {
	m := c.now.Load()
	if m == nil {
		if _, err := c.all(ctx); err != nil {
			return nil, err
		}
		m = c.now.Load()
	}
	slot := keySlot(key)
	if p := m.owner[slot]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%w: no primary of the Redis Cluster has slot %d", pubsub.ErrUnavailable, slot)
}

func (c *cluster) all(ctx context.Context) ([]*primary, error) {
	if _, err := c.rounds.do(ctx, false); err != nil {
		return nil, fmt.Errorf("%w: find the primaries: %w", pubsub.ErrUnavailable, err)
	}
	return c.now.Load().primaries, nil
}

func (c *cluster) known() []*primary {
	if m := c.now.Load(); m != nil {
		return m.primaries
	}
	return nil
}

// ask runs one round. It waits longer while no more nodes have answered than half of the
// number of known primaries.
func (c *cluster) ask() ([]*view, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.options.Timeout/3)
	defer cancel()
	views, err := askAll(ctx, &c.askers, c.options.Timeout/6,
		func(ctx context.Context, a *asker[*redis.Client]) (*view, error) {
			return askView(ctx, a.client, a.address)
		},
		func(views []*view) bool { return 2*len(views) > len(c.known()) })
	if err != nil {
		return nil, err
	}
	if err := c.adopt(views); err != nil {
		return nil, err
	}
	return views, nil
}

// adopt makes a new map from views, and closes former primaries.
func (c *cluster) adopt(views []*view) error {
	l := merge(views)
	if len(l.owners) == 0 { // as from a node that was reset, or has not joined yet
		return errors.New("the nodes that answer know of no slots with a primary")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errGone
	}
	before := c.now.Load()
	if before == nil {
		before = &clusterMap{}
	}
	m := &clusterMap{names: l.names, replicas: l.replicas}
	byID := make(map[string]*primary)
	for id := range l.owners {
		p := c.primaryWith(id, before, l)
		byID[id] = p
		m.primaries = append(m.primaries, p)
	}
	for slot, id := range l.owner {
		if id == "" {
			m.unowned++
		} else {
			m.owner[slot] = byID[id]
		}
	}
	c.now.Store(m)
	c.retire(before, m, l)
	c.askers.keep(c.toAsk(m, l))
	return nil
}

// toAsk returns the addresses to ask in the next round: those of the settings, those of
// all primaries, and some others.
func (c *cluster) toAsk(m *clusterMap, l *layout) []string {
	all := slices.Clone(c.options.Addresses)
	for _, p := range m.primaries {
		all = append(all, p.address)
	}
	others := l.addresses
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return append(all, others[:min(len(others), maxOthersAsked)]...)
}

// primaryWith returns the primary with the ID: the existing one if its address is the
// best one or it has just answered there, else a new one. c.mu must be held.
func (c *cluster) primaryWith(id string, before *clusterMap, l *layout) *primary {
	there := c.guests[id]
	if i := slices.IndexFunc(before.primaries, func(p *primary) bool { return p.id == id }); i >= 0 {
		there = before.primaries[i]
	}
	endpoints := l.endpoints[id]
	if there != nil && (there.address == endpoints[0] || slices.Contains(endpoints, there.address) && l.answered[there.address] == id) {
		return there
	}
	return newPrimary(&c.options, id, endpoints[0])
}

// retire closes the primaries and guests that are no longer in use. c.mu must be held.
func (c *cluster) retire(before, now *clusterMap, l *layout) {
	gone := slices.DeleteFunc(slices.Clone(before.primaries), func(p *primary) bool { return slices.Contains(now.primaries, p) })
	for id, p := range c.guests {
		if l.owners[id] || !l.primaries[id] {
			delete(c.guests, id)
			if !slices.Contains(now.primaries, p) {
				gone = append(gone, p)
			}
		}
	}
	for _, p := range gone {
		c.retired.Go(func() { _ = p.close() }) // calls under way there fail, as if the server had failed
	}
}

func (c *cluster) at(ctx context.Context, from *primary, address string) (*primary, error) {
	host, port := splitAddress(address)
	address = reachable(host, port, from.address)
	if p := c.named(address); p != nil {
		return p, nil
	}
	// The node may have joined the cluster a moment ago.
	if _, err := c.rounds.do(ctx, true); err != nil {
		return nil, fmt.Errorf("%w: find %s: %w", pubsub.ErrUnavailable, address, err)
	}
	if p := c.named(address); p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%w: redirected to %s, which no node of the Redis Cluster knows", pubsub.ErrUnavailable, address)
}

// named returns the primary, or the node that is about to become one, that redirects call
// address, or nil.
func (c *cluster) named(address string) *primary {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.now.Load()
	if m == nil || c.closed {
		return nil
	}
	id, known := m.names[address]
	if !known {
		return nil
	}
	if i := slices.IndexFunc(m.primaries, func(p *primary) bool { return p.id == id }); i >= 0 {
		return m.primaries[i]
	}
	if c.guests[id] == nil {
		c.guests[id] = newPrimary(&c.options, id, address)
	}
	return c.guests[id]
}

// checkQuorum asks the other primaries. A majority of all, p included, must list p as a
// healthy primary. A takeover needs the votes of a majority too, so a primary that was
// replaced cannot pass, even if it is cut off from the others.
func (c *cluster) checkQuorum(ctx context.Context, p *primary, _ pubsub.Epoch) error {
	views, err := c.rounds.do(ctx, true)
	if err != nil {
		return err
	}
	m := c.now.Load()
	isPrimary := func(id string) bool {
		return slices.ContainsFunc(m.primaries, func(p *primary) bool { return p.id == id })
	}
	hasSlots := true // in its own view
	for _, v := range views {
		if v.from == p.address && v.self != p.id {
			return errors.New("another node answers at the address of the primary")
		}
		if v.self == p.id {
			hasSlots = len(v.nodes[p.id].slots) > 0
		}
	}
	agree := make(map[string]bool)
	if isPrimary(p.id) {
		agree[p.id] = true
	}
	for _, v := range views {
		n := v.nodes[p.id]
		if v.self != p.id && isPrimary(v.self) && n != nil && n.primary && n.healthy && (len(n.slots) > 0 || !hasSlots) {
			agree[v.self] = true
		}
	}
	if 2*len(agree) > len(m.primaries) {
		return nil
	}
	return fmt.Errorf("only %d of %d primaries of the Redis Cluster list it as healthy", len(agree), len(m.primaries))
}

func (c *cluster) close() error {
	c.rounds.close()
	c.askers.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var errs []error
	for _, p := range c.known() {
		errs = append(errs, p.close())
	}
	for _, p := range c.guests {
		errs = append(errs, p.close())
	}
	c.retired.Wait()
	return errors.Join(errs...)
}
