package redisbroker

import (
	"context"
	"sync"

	"comet/pubsub"
)

// topology says which primary has which key. go-redis would find that out and
// redirect commands by itself, but it sends one again whose answer was lost, and
// a publish must not be; it asks nodes one after another, so that an address
// that drops what is sent to it holds up everything; and it takes the first
// answer for true.
//
// All methods may be called concurrently. Those with a context wait for servers
// and end with it; the others do not wait.
type topology interface {
	// of returns the primary that has key, as far as known.
	of(ctx context.Context, key string) (*primary, error)
	// all asks for the primaries that there are now.
	all(ctx context.Context) ([]*primary, error)
	// at returns the primary that from named in a redirect.
	at(ctx context.Context, from *primary, address string) (*primary, error)
	// checkQuorum returns nil if p, which answered from generation epoch, is a primary
	// in the view of those that decide on it, asked after checkQuorum was called.
	checkQuorum(ctx context.Context, p *primary, epoch pubsub.Epoch) error
	// known returns the primaries that there were when last asked.
	known() []*primary
	// replicas returns how many replicas p has, connected or not, as far as others
	// know; 0 where p alone knows.
	replicas(p *primary) int
	// whole returns nil if every key has a primary, as far as known.
	whole() error
	// moves reports whether primaries can be replaced by others.
	moves() bool
	// close ends what is under way, and waits for it.
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

// eachPrimary sorts n things by the primary that has their channel, has do do
// those of each, primaries side by side, and waits. failed is called with each
// thing whose primary cannot be found.
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
