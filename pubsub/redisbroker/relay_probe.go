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

// probeEvery is the interval between the probes of a connection.
const probeEvery = 2 * time.Second

var (
	errDeaf     = errors.New("a published probe did not come")
	errReplaced = errors.New("the primary was replaced or restarted")
	errReplica  = errors.New("it is a replica; waiting for the primary at this address")
)

// probe is the watchdog of one connection. It publishes to a pub/sub channel of its own
// and expects the message back. Nothing else detects a connection that answers PING but
// delivers nothing, as to a server that was cut off from its cluster or has lost its
// subscriptions. It also detects a new epoch on a connection that goes on, as when a
// primary is demoted and promoted again. Then every channel must be read, also those to
// which nothing is published.
type probe struct {
	conn       *pubsubConn
	channel    string        // set before subscribed is closed
	subscribed chan struct{} // closed when SUBSCRIBE is sent
	confirmed  chan struct{} // closed by confirm
	confirming sync.Once
	echo       chan string  // the newest payload that came back
	number     uint64       // of the newest probe
	epoch      pubsub.Epoch // of the primary; 0 while unknown
	heardAt    time.Time    // when the newest probe came back
}

func newProbe(l *pubsubConn) *probe {
	return &probe{
		conn:       l,
		subscribed: make(chan struct{}), confirmed: make(chan struct{}), echo: make(chan string, 1),
	}
}

// confirm is called when Redis confirms the SUBSCRIBE. A second call does nothing.
func (p *probe) confirm() { p.confirming.Do(func() { close(p.confirmed) }) }

// run sends probes until ctx ends or one does not come back.
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

// once sends one probe and waits for it. A probe that could not be sent is no error of
// the connection, unless a replica refused it: the connection may be to that replica, and
// must not stay there when the address leads to the primary again.
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
	case p.epoch != epoch && !p.sameRun(ctx, timeout) && p.epoch != 0: // sameRun is called for the first probe too, to learn the run
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

// isReplica reports whether err is the answer of epoch.lua on a replica, or that of Redis
// to a write there.
func isReplica(err error) bool { return refused(err) && strings.HasPrefix(err.Error(), "READONLY") }

// sameRun reports whether the current epoch is of the same run as p.epoch.
func (p *probe) sameRun(ctx context.Context, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	now, err := p.conn.broker.historyOf(ctx, p.conn.primary)
	return err == nil && slices.Contains(now.same, p.epoch)
}

// heard takes a payload that came back. It does not block.
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

// name returns the name of a pub/sub channel at the connection's primary that no other
// connection uses.
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

// await waits until event is closed.
func await(ctx context.Context, event <-chan struct{}, timeout time.Duration) error {
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case <-event:
		return nil
	case <-late.C:
		return fmt.Errorf("no confirmation within %v", timeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
