package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"comet/pubsub"
)

// probeEvery is how often a connection is asked to carry something.
const probeEvery = 2 * time.Second

var (
	errDeaf     = errors.New("what was published did not come")
	errReplaced = errors.New("the primary is another one, or began a new life")
	errReplica  = errors.New("it is a replica; waiting for the primary at this address")
)

// probe is the watchdog of one connection: it publishes to a pub/sub channel of its
// own and expects that back. Nothing else finds a connection that answers PING
// but carries nothing, as to a server that was cut off from its cluster, or
// whose subscriptions were forgotten. It also sees when a new generation begins
// while the connection goes on, as where a primary is demoted and promoted again: then
// every channel must be read, also those on which nothing is published.
type probe struct {
	conn       *pubsubConn
	channel    string        // set before subscribed is closed
	subscribed chan struct{} // closed when SUBSCRIBE is sent
	confirmed  chan struct{} // closed by confirm
	confirming sync.Once
	echo       chan string  // what came; the newest is enough
	number     uint64       // of the last one sent
	epoch      pubsub.Epoch // of the primary; 0: not known yet
	heardAt    time.Time    // of the last one that came back
}

func newProbe(l *pubsubConn) *probe {
	return &probe{
		conn:       l,
		subscribed: make(chan struct{}), confirmed: make(chan struct{}), echo: make(chan string, 1),
	}
}

// confirm says that the SUBSCRIBE is confirmed; more than once does nothing.
func (p *probe) confirm() { p.confirming.Do(func() { close(p.confirmed) }) }

// run probes until ctx ends or nothing came back.
func (p *probe) run(ctx context.Context) (err error) {
	if p.channel, err = p.name(ctx); err != nil {
		return err
	}
	if err := p.conn.subscribe(p.channel); err != nil {
		return err
	}
	close(p.subscribed)
	timeout := p.conn.broker.options.Timeout
	if err := await(ctx, p.confirmed, timeout); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		if err := p.once(ctx, timeout); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// once sends one probe and waits for it. A probe that could not be sent says
// nothing about the connection, unless a replica refused it: the connection may be to that
// one, and must not stay there when the address leads to the primary again.
func (p *probe) once(ctx context.Context, timeout time.Duration) error {
	b := p.conn.broker
	p.number++
	number := strconv.FormatUint(p.number, 10)
	sent := time.Now()
	switch epoch, err := p.publish(ctx, timeout, number); {
	case isReplica(err):
		b.errorCounts.count(ToProbe, err)
		return errReplica
	case err != nil:
		b.health.unsent(p.conn.key, err)
		b.errorCounts.count(ToProbe, err)
		return nil
	case p.epoch != epoch && !p.sameRun(ctx, timeout) && p.epoch != 0: // asked the first time too, so that it is known
		return errReplaced
	default:
		p.epoch = epoch
	}
	late := time.NewTimer(timeout)
	defer late.Stop()
	for {
		select {
		case got := <-p.echo:
			if got == number {
				p.heardAt = time.Now()
				b.health.heard(p.conn.key, p.heardAt.Sub(sent))
				return nil
			}
		case <-late.C:
			return fmt.Errorf("%w back within %v", errDeaf, timeout)
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *probe) publish(ctx context.Context, timeout time.Duration, number string) (pubsub.Epoch, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	args := []any{p.conn.broker.verb(), p.channel, number}
	asked := time.Now()
	answer, err := probeScript.evaluate(ctx, p.conn.primary.client, nil, args).Slice()
	if err != nil || len(answer) != 4 {
		return 0, err
	}
	epoch, _ := answer[0].(int64)
	replid, _ := answer[1].(string)
	offset, _ := answer[2].(int64)
	replicas, _ := answer[3].(int64)
	if need := p.conn.broker.options.MinReplicas; need > 0 {
		known := p.conn.broker.topology.replicas(p.conn.primary)
		p.conn.broker.replicas.record(probeReply{replid, offset, max(int(replicas), known)}, asked, need)
	}
	return pubsub.Epoch(epoch), nil
}

// isReplica reports whether err is epoch.lua's answer on a replica, or
// Redis's own to a write there.
func isReplica(err error) bool { return refused(err) && strings.HasPrefix(err.Error(), "READONLY") }

// sameRun reports whether the generation now is of the same life as the one
// before.
func (p *probe) sameRun(ctx context.Context, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	now, err := p.conn.broker.historyOf(ctx, p.conn.primary)
	return err == nil && slices.Contains(now.same, p.epoch)
}

// heard takes what the connection has brought; it does not block.
func (p *probe) heard(number string) {
	select {
	case <-p.echo:
	default:
	}
	select {
	case p.echo <- number:
	default:
	}
}

// name is a pub/sub channel that no other connection has, at the connection's primary.
func (p *probe) name(ctx context.Context) (string, error) {
	b := p.conn.broker
	unique := rand.Uint64()
	for n := range manySlots {
		name := b.keys.probe(unique, n)
		at, err := b.topology.of(ctx, name)
		if err != nil {
			return "", err
		}
		if at == p.conn.primary {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s: %w", p.conn.primary.address, errGone)
}

// await waits for an event.
func await(ctx context.Context, event <-chan struct{}, timeout time.Duration) error {
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case <-event:
		return nil
	case <-late.C:
		return fmt.Errorf("not confirmed within %v", timeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
