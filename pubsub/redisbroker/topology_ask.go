package redisbroker

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// askerPool is the pool size of an asker, which uses one connection. After askerPool
// failed dials go-redis would dial by itself, each second, for ever.
const askerPool = 256

var errNoAnswer = errors.New("no server has answered yet")

// asker is a connection that asks a server about the topology. The connections for data
// may all be busy, or wait for a server that hangs.
type asker[C io.Closer] struct {
	address string
	client  C
	dialer  *dialer
	busy    atomic.Bool // it has not answered yet; askAll leaves it out
}

// askers holds the askers of one topology.
type askers[C io.Closer] struct {
	open func(address string) (C, *dialer)

	asking sync.WaitGroup // calls under way, also those that askAll has left
	mu     sync.Mutex
	all    map[string]*asker[C] // by address
}

// keep sets the addresses to ask.
func (a *askers[C]) keep(addresses []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = make(map[string]*asker[C])
	}
	for address, one := range a.all {
		if !slices.Contains(addresses, address) {
			delete(a.all, address)
			one.close()
		}
	}
	for _, address := range addresses {
		if a.all[address] == nil {
			client, d := a.open(address)
			a.all[address] = &asker[C]{address: address, client: client, dialer: d}
		}
	}
}

func (a *asker[C]) close() {
	a.dialer.shut()
	_ = a.client.Close()
}

// close closes all askers, and waits for the calls under way.
func (a *askers[C]) close() {
	a.keep(nil)
	a.asking.Wait()
}

// askAll asks all servers in parallel and returns the answers. Once enough returns true
// for them, it waits only grace longer for the others. Without any answer it returns an
// error, preferably one that a server answered with.
func askAll[C io.Closer, T any](ctx context.Context, a *askers[C], grace time.Duration, ask func(context.Context, *asker[C]) (T, error), enough func([]T) bool) (answers []T, err error) {
	type result struct {
		answer T
		err    error
	}
	a.mu.Lock()
	all := slices.Collect(maps.Values(a.all))
	a.mu.Unlock()
	results := make(chan result, len(all)) // buffered: askAll may return before the last ones
	pending := 0
	for _, one := range all {
		if !one.busy.CompareAndSwap(false, true) {
			continue
		}
		pending++
		a.asking.Go(func() {
			answer, err := ask(ctx, one)
			one.busy.Store(false)
			results <- result{answer, err}
		})
	}
	late := time.NewTimer(grace)
	late.Stop()
	defer late.Stop()
	err = errNoAnswer
	for waiting := false; pending > 0; {
		select {
		case r := <-results:
			pending--
			switch {
			case r.err == nil:
				answers = append(answers, r.answer)
			case err == errNoAnswer || refused(r.err):
				err = r.err
			}
			if !waiting && enough(answers) {
				waiting = true
				late.Reset(grace)
			}
		case <-late.C:
			return answers, nil
		case <-ctx.Done():
			pending = 0
			if err == errNoAnswer {
				err = context.Cause(ctx)
			}
		}
	}
	if len(answers) > 0 {
		return answers, nil
	}
	return nil, err
}
