package redisbroker

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// Publish implements pubsub.Broker. A single draft shares a pipeline with
// other callers' drafts; several go in pipelines of their own, one a primary.
func (b *Broker) Publish(ctx context.Context, drafts []pubsub.Draft) []pubsub.Receipt {
	receipts := make([]pubsub.Receipt, len(drafts))
	ctx, end, err := b.begin(ctx)
	if err != nil {
		for i := range receipts {
			receipts[i].Err = err
		}
		return receipts
	}
	defer end()
	if len(drafts) == 1 {
		receipts[0] = b.publishOne(ctx, &drafts[0])
	} else {
		b.publishAll(ctx, drafts, receipts)
	}
	for i := range receipts {
		b.troubles.count(ToPublish, receipts[i].Err)
	}
	return receipts
}

func (b *Broker) publishOne(ctx context.Context, d *pubsub.Draft) pubsub.Receipt {
	if d.Ephemeral {
		return b.publishEphemeral(ctx, d)
	}
	keys, args := b.publishArgs(d)
	var wait *redis.Cmd
	cmd, left := b.call(ctx, keys[0], func(p *primary, asking bool) (cmd redis.Cmder) {
		if b.options.MinReplicas == 0 && !asking {
			return publishScript.share(ctx, p, keys, args)
		}
		// WAIT is about the connection's last write, which the script makes for a
		// repeated key too.
		cmd, wait = publishScript.inPipeline(ctx, p.client, keys, args,
			around{asking: asking, replicas: b.options.MinReplicas, patience: b.options.Timeout * 2 / 3})
		return cmd
	})
	r := receipt(cmd)
	if r.Err == nil && left != nil {
		// Who subscribed at the primary that the channel leaves has heard nothing.
		_ = left.client.SPublish(ctx, b.keys.live(d.Channel), encodeAnnounced(r.ID)).Err() // else the sweep finds it
	}
	if r.Err == nil && wait != nil {
		r.Err = b.reached(wait)
	}
	return r
}

// reached reads the answer of WAIT: an error says that too few replicas have it.
func (b *Broker) reached(wait *redis.Cmd) error {
	need := b.options.MinReplicas
	switch n, err := wait.Int(); {
	case err != nil:
		return fmt.Errorf("%w: wait for %d replicas: %w", pubsub.ErrOutcomeUnknown, need, err)
	case n < need:
		return fmt.Errorf("%w: %w: %d of redis.min_replicas = %d", pubsub.ErrOutcomeUnknown, errTooFew, n, need)
	}
	return nil
}

// publishEphemeral relays without the log.
func (b *Broker) publishEphemeral(ctx context.Context, d *pubsub.Draft) pubsub.Receipt {
	cmd, _ := b.call(ctx, b.keys.live(d.Channel), func(p *primary, _ bool) redis.Cmder { // which is never asked for elsewhere
		cmd := b.ephemeral(ctx, d)
		if err := p.share(ctx, cmd); err != nil {
			return failed(ctx, err)
		}
		return cmd
	})
	return receipt(cmd)
}

// publishAll publishes in order of channel. Drafts of one channel have one
// primary, so they stay in order in its pipeline.
func (b *Broker) publishAll(ctx context.Context, drafts []pubsub.Draft, receipts []pubsub.Receipt) {
	if b.options.MinReplicas > 0 || b.sharded() && someHaveKeys(drafts) {
		b.publishEach(ctx, drafts, receipts)
		return
	}
	b.eachPrimary(ctx, len(drafts), func(i int) string { return drafts[i].Channel },
		func(i int, err error) { receipts[i].Err = publishError(err) },
		func(p *primary, at []int) { b.publishGroup(ctx, p, drafts, at, receipts) })
}

// someHaveKeys reports whether some drafts have an idempotency key and others
// not. While a slot is being moved Redis Cluster refuses only the former
// (TRYAGAIN): those behind would overtake them.
func someHaveKeys(drafts []pubsub.Draft) bool {
	return slices.ContainsFunc(drafts, func(d pubsub.Draft) bool { return (d.Key == "") != (drafts[0].Key == "") })
}

// publishEach publishes the drafts of each channel one by one, channels side by
// side.
func (b *Broker) publishEach(ctx context.Context, drafts []pubsub.Draft, receipts []pubsub.Receipt) {
	byChannel := make(map[string][]int)
	for i := range drafts {
		byChannel[drafts[i].Channel] = append(byChannel[drafts[i].Channel], i)
	}
	var all sync.WaitGroup
	for _, at := range byChannel {
		all.Go(func() {
			for _, i := range at {
				receipts[i] = b.publishOne(ctx, &drafts[i])
			}
		})
	}
	all.Wait()
}

// publishGroup publishes the drafts at the given indices, which p has.
func (b *Broker) publishGroup(ctx context.Context, p *primary, drafts []pubsub.Draft, at []int, receipts []pubsub.Receipt) {
	if isMixed(drafts, at) {
		// Ephemeral drafts need no script: they would overtake the others if
		// those had to be sent again.
		if err := publishScript.Load(ctx, p.client).Err(); err != nil {
			for _, i := range at {
				receipts[i].Err = fmt.Errorf("%w: %w", pubsub.ErrUnavailable, err)
			}
			return
		}
	}
	cmds := b.pipeline(ctx, p, drafts, at)
	// A script that is not loaded fails all behind it alike, and so does a slot
	// that has moved: what failed so was not carried out and goes again, still in
	// order.
	for n, cmd := range cmds {
		i := at[n]
		if kind, _ := redirected(cmd.Err()); kind != none || notLoaded(cmd.Err()) {
			receipts[i] = b.publishOne(ctx, &drafts[i])
		} else {
			receipts[i] = receipt(cmd)
		}
	}
}

// pipeline sends the drafts at the given indices.
func (b *Broker) pipeline(ctx context.Context, p *primary, drafts []pubsub.Draft, at []int) []redis.Cmder {
	pipe := p.client.Pipeline()
	for _, i := range at {
		d := &drafts[i]
		if d.Ephemeral {
			_ = pipe.Process(ctx, b.ephemeral(ctx, d)) // it is only queued
			continue
		}
		keys, args := b.publishArgs(d)
		pipe.EvalSha(ctx, publishScript.Hash(), keys, args...)
	}
	cmds, _ := pipe.Exec(ctx) // each command has its own error
	return cmds
}

// isMixed reports whether some drafts are ephemeral and others not.
func isMixed(drafts []pubsub.Draft, at []int) bool {
	return slices.ContainsFunc(at, func(i int) bool { return drafts[i].Ephemeral != drafts[at[0]].Ephemeral })
}

// publishArgs are publish.lua's KEYS and ARGV.
func (b *Broker) publishArgs(d *pubsub.Draft) (keys []string, args []any) {
	keys = []string{b.keys.log(d.Channel)}
	if d.Key != "" {
		keys = append(keys, b.keys.once(d.Channel, d.Key))
	}
	size, ttl := b.options.Retention(d.Channel)
	args = []any{
		b.verb(), size, ttl.Milliseconds(),
		d.Type, d.Data, b.options.KeyWindow.Milliseconds(), b.options.Inline,
		b.keys.live(d.Channel),
	}
	if d.Trace != "" {
		args = append(args, d.Trace, tracePrefix(d.Trace))
	}
	return keys, args
}

// ephemeral is the command that relays d.
func (b *Broker) ephemeral(ctx context.Context, d *pubsub.Draft) *redis.IntCmd {
	return redis.NewIntCmd(ctx, b.verb(), b.keys.live(d.Channel), encodeEphemeral(d))
}

// verb is the command that relays.
func (b *Broker) verb() string {
	if b.sharded() {
		return "SPUBLISH"
	}
	return "PUBLISH"
}

// receipt reads the answer of publish.lua, or of PUBLISH.
func receipt(cmd redis.Cmder) pubsub.Receipt {
	if err := cmd.Err(); err != nil {
		return pubsub.Receipt{Err: publishError(err)}
	}
	script, ok := cmd.(*redis.Cmd)
	if !ok {
		return pubsub.Receipt{} // PUBLISH answers how many heard it, which says nothing
	}
	answer, err := script.Slice()
	if err != nil || len(answer) != 2 {
		return pubsub.Receipt{Err: fmt.Errorf("%w: publish.lua answered %v", pubsub.ErrOutcomeUnknown, script.Val())}
	}
	text, _ := answer[0].(string)
	id, err := pubsub.ParseID(text)
	if err != nil {
		return pubsub.Receipt{Err: fmt.Errorf("%w: publish.lua answered ID %q", pubsub.ErrOutcomeUnknown, text)}
	}
	return pubsub.Receipt{ID: id, Duplicate: answer[1] == int64(1)}
}
