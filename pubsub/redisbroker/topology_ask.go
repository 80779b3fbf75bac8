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

// askerPool is the pool size of an asker, which uses one connection: after that
// many dials that failed go-redis dials by itself, each second, for ever.
const askerPool = 256

var errNobodyAsked = errors.New("no server has answered yet")

// asker is a connection to a server that is asked about the topology, apart from
// those for data: they may all be busy, or wait for a server that hangs.
type asker[C io.Closer] struct {
	address string
	client  C
	dialer  *dialer
	busy    atomic.Bool // it has not answered yet; it is left out meanwhile
}

// askers are those of one topology, by address.
type askers[C io.Closer] struct {
	open func(address string) (C, *dialer)

	asking sync.WaitGroup // also those that are waited for no more
	mu     sync.Mutex
	all    map[string]*asker[C]
}

// keep makes these the addresses to ask.
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

// close ends all, and waits for those that are being asked.
func (a *askers[C]) close() {
	a.keep(nil)
	a.asking.Wait()
}

// askAll asks all side by side and returns the answers. Once enough says that
// there are enough of them, it waits for the others only for another grace. If
// there is no answer, err says why: what a server said rather than that one was
// not reached.
func askAll[C io.Closer, T any](ctx context.Context, a *askers[C], grace time.Duration, ask func(context.Context, *asker[C]) (T, error), enough func([]T) bool) (answers []T, err error) {
	type result struct {
		answer T
		err    error
	}
	a.mu.Lock()
	all := slices.Collect(maps.Values(a.all))
	a.mu.Unlock()
	results := make(chan result, len(all)) // nobody waits for the last of them
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
	err = errNobodyAsked
	for waiting := false; pending > 0; {
		select {
		case r := <-results:
			pending--
			switch {
			case r.err == nil:
				answers = append(answers, r.answer)
			case err == errNobodyAsked || refused(r.err):
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
			if err == errNobodyAsked {
				err = context.Cause(ctx)
			}
		}
	}
	if len(answers) > 0 {
		return answers, nil
	}
	return nil, err
}
