package redisbroker

import (
	"context"
	"sync"

	"comet/pubsub"
)

// topology knows which primary has which key. go-redis can do that too, and follow
// redirects, but: it repeats a command after its answer was lost, and a publish must not
// be repeated; it asks nodes one after another, so that an address that drops packets
// delays everything; and it believes the first answer.
//
// All methods may be called concurrently. Those with a context wait for servers until it
// ends; the others do not wait.
type topology interface {
	// of returns the primary that has key, as far as known.
	of(ctx context.Context, key string) (*primary, error)
	// all searches for the current primaries and returns them.
	all(ctx context.Context) ([]*primary, error)
	// at returns the primary at the address that from named in a redirect.
	at(ctx context.Context, from *primary, address string) (*primary, error)
	// checkQuorum returns nil if p, which answered in epoch, is a primary in the view of
	// the servers that decide on it. They are asked after the call.
	checkQuorum(ctx context.Context, p *primary, epoch pubsub.Epoch) error
	// known returns the primaries that the newest search found.
	known() []*primary
	// replicas returns the number of replicas of p, connected or not, as far as other
	// servers know; 0 if only p knows.
	replicas(p *primary) int
	// whole returns nil if every key has a primary, as far as known.
	whole() error
	// moves reports whether primaries can be replaced.
	moves() bool
	// close closes all connections, and waits for the calls under way.
	close() error
}

// single is the topology of one primary.
type single struct{ *primary }

func newSingle(o Options) topology {
	return single{newPrimary(&o, "", o.Addresses[0])}
}

func (s single) of(context.Context, string) (*primary, error)              { return s.primary, nil }
func (s single) all(context.Context) ([]*primary, error)                   { return []*primary{s.primary}, nil }
func (s single) at(context.Context, *primary, string) (*primary, error)    { return s.primary, nil }
func (s single) checkQuorum(context.Context, *primary, pubsub.Epoch) error { return nil }
func (s single) known() []*primary                                         { return []*primary{s.primary} }
func (s single) replicas(*primary) int                                     { return 0 }
func (s single) whole() error                                              { return nil }
func (s single) moves() bool                                               { return false }

// eachPrimary groups the indices below n by the primary of their channel, calls do for
// each primary, in parallel, and waits. It calls failed for each index without a primary.
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
