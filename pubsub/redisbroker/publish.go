package redisbroker

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// Publish implements pubsub.Broker. A single draft shares a pipeline with
// other callers' drafts; several go in a pipeline of their own, in order.
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
	return receipts
}

func (b *Broker) publishOne(ctx context.Context, d *pubsub.Draft) pubsub.Receipt {
	if d.Ephemeral {
		return receipt(b.shared.Publish(ctx, b.keys.live(d.Channel), encodeEphemeral(d)))
	}
	keys, args := b.publishArgs(d)
	cmd := b.shared.EvalSha(ctx, publishScript.Hash(), keys, args...)
	if notLoaded(cmd.Err()) {
		cmd = publishScript.Eval(ctx, b.shared, keys, args...)
	}
	return receipt(cmd)
}

func (b *Broker) publishAll(ctx context.Context, drafts []pubsub.Draft, receipts []pubsub.Receipt) {
	if isMixed(drafts) {
		// Ephemeral drafts need no script: they would overtake the others if
		// those had to be sent again.
		if err := publishScript.Load(ctx, b.client).Err(); err != nil {
			for i := range receipts {
				receipts[i].Err = fmt.Errorf("%w: %w", pubsub.ErrUnavailable, err)
			}
			return
		}
	}
	cmds := b.pipeline(ctx, drafts, nil)
	// A script that is not loaded fails all behind it alike: what failed so was not
	// carried out and goes again, still in order.
	if failed := notLoadedAt(cmds); len(failed) > 0 {
		if err := publishScript.Load(ctx, b.client).Err(); err == nil {
			again := b.pipeline(ctx, drafts, failed)
			for i, at := range failed {
				cmds[at] = again[i]
			}
		}
	}
	for i, cmd := range cmds {
		receipts[i] = receipt(cmd)
	}
}

// pipeline sends the drafts, or only those at the given indices.
func (b *Broker) pipeline(ctx context.Context, drafts []pubsub.Draft, only []int) []redis.Cmder {
	p := b.client.Pipeline()
	send := func(d *pubsub.Draft) {
		if d.Ephemeral {
			p.Publish(ctx, b.keys.live(d.Channel), encodeEphemeral(d))
			return
		}
		keys, args := b.publishArgs(d)
		queue(ctx, p, publishScript, keys, args)
	}
	if only == nil {
		for i := range drafts {
			send(&drafts[i])
		}
	}
	for _, i := range only {
		send(&drafts[i])
	}
	cmds, _ := p.Exec(ctx) // each command has its own error
	return cmds
}

// isMixed reports whether some drafts are ephemeral and others not.
func isMixed(drafts []pubsub.Draft) bool {
	return slices.ContainsFunc(drafts, func(d pubsub.Draft) bool { return d.Ephemeral != drafts[0].Ephemeral })
}

func notLoadedAt(cmds []redis.Cmder) (at []int) {
	for i, cmd := range cmds {
		if notLoaded(cmd.Err()) {
			at = append(at, i)
		}
	}
	return at
}

// publishArgs are publish.lua's KEYS and ARGV.
func (b *Broker) publishArgs(d *pubsub.Draft) (keys []string, args []any) {
	keys = []string{b.keys.log(d.Channel)}
	if d.Key != "" {
		keys = append(keys, b.keys.once(d.Channel, d.Key))
	}
	return keys, []any{
		b.keys.live(d.Channel), b.options.Size, b.options.TTL.Milliseconds(),
		d.Type, d.Data, b.options.KeyWindow.Milliseconds(),
	}
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
