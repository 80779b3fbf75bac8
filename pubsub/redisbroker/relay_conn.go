package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

var (
	errSilent = errors.New("no answer to PING")
	errGone   = errors.New("it is no primary any more")
)

// link is one pub/sub connection, from its making to its first failure.
// go-redis would mend it by itself, but then nobody would know what was
// missed; so every error ends the link.
type link struct {
	broker  *Broker
	key     linkKey
	primary *primary
	sink    pubsub.Sink
	taken   chan<- string // to the relay: channels that the server takes away
	pubsub  *redis.PubSub
	probe   *probe
	kick    chan struct{} // holds a token while changes may be non-empty
	gone    chan struct{} // closed by leave
	leaving sync.Once
	err     error // why it ended; set by run

	mu      sync.Mutex      // guards all below, and is held while the sink is called
	carried map[string]bool // channels; true if confirmed
	unheard map[string]int  // SUBSCRIBEs of a channel that are not confirmed yet
	changes []change
}

func newLink(r *relay, key linkKey) *link {
	p := key.primary
	l := &link{
		broker: r.broker, key: key, primary: p, sink: r.sink, taken: r.taken,
		kick: make(chan struct{}, 1), gone: make(chan struct{}),
		carried: make(map[string]bool), unheard: make(map[string]int),
	}
	// Both connect at the first subscription.
	if r.broker.sharded() {
		l.pubsub = p.client.SSubscribe(context.Background())
	} else {
		l.pubsub = p.client.Subscribe(context.Background())
	}
	l.probe = newProbe(l)
	return l
}

// carry adds a channel.
func (l *link) carry(channel string) {
	l.mu.Lock()
	l.carried[channel] = false
	l.unheard[channel]++
	l.changes = append(l.changes, change{channel, true})
	l.mu.Unlock()
	l.wake()
}

// drop takes a channel away, of which nothing more reaches the sink.
func (l *link) drop(channel string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, had := l.carried[channel]; had {
		delete(l.carried, channel)
		l.changes = append(l.changes, change{channel, false})
		l.wake()
	}
}

// has reports whether a channel was given to the link.
func (l *link) has(channel string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, had := l.carried[channel]
	return had
}

// channels is all that were given to the link.
func (l *link) channels() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.carried))
}

func (l *link) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// leave ends the link.
func (l *link) leave() { l.leaving.Do(func() { close(l.gone) }) }

// worked reports whether the link, which has ended, has ever carried a probe.
func (l *link) worked() bool { return !l.probe.heardAt.IsZero() }

// connect makes the link's connection. All that is done with it later has the
// context ended: go-redis would replace a connection that failed, and subscribe
// again there, with the context of whatever failed. A canceled one prevents that,
// and nothing else, as a write or a read heeds only a context's deadline.
func (l *link) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.broker.options.Timeout)
	defer cancel()
	if err := l.pubsub.Ping(ctx); err != nil { // that it is answered is seen with the first SUBSCRIBE
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// run carries until ctx ends or the link fails.
func (l *link) run(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Closing is what ends a Receive under way.
	defer context.AfterFunc(ctx, func() { _ = l.pubsub.Close() })()
	defer l.pubsub.Close() //nolint:errcheck // a second Close only says so

	if l.err = l.connect(ctx); l.err != nil {
		return
	}
	var others sync.WaitGroup
	for _, work := range []func(context.Context) error{l.write, l.probe.run} {
		others.Go(func() {
			if err := work(ctx); err != nil {
				cancel(err)
			}
		})
	}
	cancel(l.read(ctx))
	others.Wait()
	l.err = context.Cause(ctx)
}

// subscribeBatch is how many channels one SUBSCRIBE names. 15,000 channels are
// then 30 commands instead of one of 1 MB, which would hold up Redis.
const subscribeBatch = 512

// write sends subscriptions until ctx ends or one fails.
func (l *link) write(ctx context.Context) error {
	for {
		l.mu.Lock()
		changes := l.changes
		l.changes = nil
		l.mu.Unlock()
		for len(changes) > 0 {
			n := 1
			for n < min(len(changes), l.batch()) && changes[n].carry == changes[0].carry {
				n++
			}
			if err := l.send(changes[:n]); err != nil {
				return err
			}
			changes = changes[n:]
		}
		select {
		case <-l.kick:
		case <-l.gone:
			return errGone
		case <-ctx.Done():
			return nil
		}
	}
}

// batch is how many channels one command may name. Those of one SSUBSCRIBE must
// have the same slot.
func (l *link) batch() int {
	if l.broker.sharded() {
		return 1
	}
	return subscribeBatch
}

// send sends changes that are all of one kind.
func (l *link) send(changes []change) error {
	names := make([]string, len(changes))
	for i, c := range changes {
		names[i] = l.broker.keys.live(c.channel)
	}
	if changes[0].carry {
		return l.subscribe(names...)
	}
	return l.unsubscribe(names...)
}

func (l *link) subscribe(names ...string) error {
	return l.command("subscribe", l.pubsub.Subscribe, l.pubsub.SSubscribe, names)
}

func (l *link) unsubscribe(names ...string) error {
	return l.command("unsubscribe", l.pubsub.Unsubscribe, l.pubsub.SUnsubscribe, names)
}

// command writes a command in its plain form, or in that for sharded pub/sub.
func (l *link) command(what string, plain, sharded func(context.Context, ...string) error, names []string) error {
	do := plain
	if l.broker.sharded() {
		do = sharded
	}
	if err := do(ended, names...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
