package redisbroker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// Publish implements pubsub.Broker. A single draft shares a pipeline with those of other
// callers. Several drafts use pipelines of their own, see publishAll.
func (b *Broker) Publish(ctx context.Context, drafts []pubsub.Draft) []pubsub.Receipt {
	receipts := make([]pubsub.Receipt, len(drafts))
	ctx, end, err := b.startCall(ctx)
	if err != nil {
		for i := range receipts {
			receipts[i].Err = err
		}
		return receipts
	}
	defer end()
	switch {
	case len(drafts) > 1:
		b.publishAll(ctx, drafts, receipts)
	case drafts[0].Ephemeral && b.options.Index.Log(drafts[0].Channel) == "":
		receipts[0] = b.publishEphemeral(ctx, &drafts[0])
	default:
		b.publishChunk(ctx, drafts, receipts, b.options.MinReplicas == 0)
	}
	for i := range receipts {
		b.errorCounts.count(ToPublish, receipts[i].Err)
	}
	return receipts
}

// publishChunk publishes drafts of one channel, in order, with one call of publish.lua.
// It follows redirects. With shared the call shares a pipeline with others. It returns
// the error if the call failed as a whole.
func (b *Broker) publishChunk(ctx context.Context, drafts []pubsub.Draft, receipts []pubsub.Receipt, shared bool) error {
	script, keys, args := b.publishArgs(drafts)
	var wait *redis.Cmd
	answer, left := b.call(ctx, keys[0], func(p *primary, asking bool) redis.Cmder {
		if shared && !asking {
			return p.shared.script(ctx, script, keys, args, len(drafts[0].Data))
		}
		// WAIT covers the connection's last write. The script writes for a repeated key
		// too.
		var cmd *redis.Cmd
		args := args
		if asking {
			args = slices.Clone(args)
			args[argTTL], args[argEndTTL] = args[argEndTTL], 0
		}
		cmd, wait = script.inPipeline(ctx, p.client, keys, args,
			around{asking: asking, replicas: b.options.MinReplicas, patience: b.waitFor()})
		return cmd
	})
	if left != nil && answer.Err() == nil {
		b.relayAt(ctx, left, drafts, answer.(*redis.Cmd))
	}
	return b.fillReceipts(receipts, answer.(*redis.Cmd), wait)
}

// waitFor is the timeout of WAIT, a part of Options.Timeout.
func (b *Broker) waitFor() time.Duration { return b.options.Timeout * 2 / 3 }

// relayAt relays drafts again at p, which the channel is leaving. They were published at
// another primary, so that subscribers at p have not received them.
func (b *Broker) relayAt(ctx context.Context, p *primary, drafts []pubsub.Draft, answer *redis.Cmd) {
	receipts := make([]pubsub.Receipt, len(drafts))
	_ = b.fillReceipts(receipts, answer, nil)
	for i := range drafts {
		var payload, old []byte
		switch r := &receipts[i]; {
		case r.Err != nil || r.Duplicate:
			continue
		case drafts[i].Ephemeral:
			payload, old = encodeEphemeral(&drafts[i])
		default:
			payload = encodeAnnounced(r.ID)
		}
		channel := drafts[i].Channel
		live := b.keys.live(channel)
		if old != nil {
			_ = p.client.SPublish(ctx, live, old).Err()
		}
		_ = p.client.SPublish(ctx, live, payload).Err() // on failure the sweep delivers it
		if index := b.options.Index.Log(channel); index != "" {
			_ = p.client.SPublish(ctx, b.keys.live(index), indexPayload(channel, payload)).Err()
		}
	}
}

// publishEphemeral relays a draft without appending it to the log.
func (b *Broker) publishEphemeral(ctx context.Context, d *pubsub.Draft) pubsub.Receipt {
	live := b.keys.live(d.Channel)
	payload, old := encodeEphemeral(d)
	if old != nil {
		if err := b.relayPayload(ctx, live, old); err != nil {
			return pubsub.Receipt{Err: publishError(err)}
		}
	}
	if err := b.relayPayload(ctx, live, payload); err != nil {
		return pubsub.Receipt{Err: publishError(err)}
	}
	return pubsub.Receipt{}
}

// relayPayload relays a payload on the pub/sub channel live.
func (b *Broker) relayPayload(ctx context.Context, live string, payload []byte) error {
	cmd, _ := b.call(ctx, live, func(p *primary, _ bool) redis.Cmder { // never redirected by ASK, as it names no key
		return p.shared.do(ctx, newRelayCall(ctx, b.verb(), live, payload), len(payload))
	})
	return cmd.Err() // the answer, the number of connections that received it, is of no use
}

// Indices in ARGV, see publish.lua. While the slot moves, the log itself is kept for as
// long as the ID of its newest message.
const (
	argTTL    = 2
	argEndTTL = 3
)

// publishArgs returns the script for drafts of one channel, and its KEYS and ARGV.
func (b *Broker) publishArgs(drafts []pubsub.Draft) (s *script, keys []string, args []any) {
	channel := drafts[0].Channel
	size, ttl := b.options.Retention(channel)
	keys = []string{b.keys.log(channel)}
	args = make([]any, 0, 7+4*len(drafts)+5)
	args = append(args, b.verb(), size, ttl.Milliseconds(), pubsub.EndTTL(ttl).Milliseconds(), b.options.KeyWindow.Milliseconds(), b.options.Inline, b.keys.live(channel))
	for i := range drafts {
		d := &drafts[i]
		if d.Ephemeral {
			payload, old := encodeEphemeral(d)
			args = append(args, "", payload, old, "")
			continue
		}
		sum := ""
		if d.Key != "" {
			keys, sum = append(keys, b.keys.once(d)), d.KeySum()
		}
		args = append(args, d.Type, d.Data, encodeExtra(d), sum)
	}
	index := b.options.Index.Log(channel)
	if index == "" {
		return publishScript, keys, args
	}
	size, ttl = b.options.Retention(index)
	args = append(args, b.keys.live(index), size, ttl.Milliseconds(), pubsub.EndTTL(ttl).Milliseconds(), channel)
	return indexScript, append(keys, b.keys.log(index)), args
}

// verb returns the command that relays.
func (b *Broker) verb() string {
	if b.sharded() {
		return "SPUBLISH"
	}
	return "PUBLISH"
}

// Outcomes in the answer of publish.lua, see there.
const (
	wasPublished = iota
	wasRepeated
	wasReused
	wasRefused
	wasNotRelayed
	wasNotRenewed
)

// fillReceipts sets receipts from the answers of publish.lua and of WAIT, which is nil
// without MinReplicas. It returns the error of Redis if the call failed as a whole.
func (b *Broker) fillReceipts(receipts []pubsub.Receipt, answer, wait *redis.Cmd) error {
	list, err := publishAnswer(answer)
	if err == nil && len(list)/2 != len(receipts) {
		err = fmt.Errorf("publish.lua answered %v", list)
	}
	if err != nil {
		for i := range receipts {
			receipts[i].Err = publishError(err)
		}
		return err
	}
	few := b.reached(wait)
	for i := range receipts {
		receipts[i] = b.receipt(list[2*i], list[2*i+1])
		if receipts[i].Err == nil && !receipts[i].ID.IsZero() {
			receipts[i].Err = few
		}
	}
	if len(list)%2 != 0 {
		b.reportPartial(ToPublish, "the log's expiry was not renewed", list[len(list)-1])
	}
	return nil
}

// publishAnswer returns the words of an answer of publish.lua.
func publishAnswer(answer *redis.Cmd) ([]any, error) {
	if id, ok := answer.Val().(string); ok {
		return []any{id, int64(wasPublished)}, nil
	}
	return answer.Slice()
}

// receipt decodes the two words for a message in an answer of publish.lua.
func (b *Broker) receipt(first, second any) pubsub.Receipt {
	text, _ := first.(string)
	outcome, _ := second.(int64)
	if outcome == wasRefused {
		return pubsub.Receipt{Err: fmt.Errorf("%w: %w", pubsub.ErrUnavailable, refusal(text))}
	}
	if text == "" {
		return pubsub.Receipt{} // of an ephemeral message
	}
	text, why, _ := strings.Cut(text, " ")
	id, err := pubsub.ParseID(text)
	switch {
	case err != nil:
		return pubsub.Receipt{Err: fmt.Errorf("%w: publish.lua answered ID %q", pubsub.ErrOutcomeUnknown, text)}
	case outcome == wasReused:
		return pubsub.Receipt{Err: fmt.Errorf("%w: it is that of message %s", pubsub.ErrKeyReused, text)}
	case outcome == wasNotRelayed:
		return pubsub.Receipt{Err: fmt.Errorf("%w: the message is in the log, but was not relayed: %w", pubsub.ErrOutcomeUnknown, refusal(why))}
	case outcome == wasNotRenewed && b.options.MinReplicas > 0: // WAIT covered no write
		return pubsub.Receipt{Err: fmt.Errorf("%w: the replicas may not have the first message with this key: %w", pubsub.ErrOutcomeUnknown, refusal(why))}
	case outcome == wasNotRenewed:
		b.reportPartial(ToPublish, "an idempotency key was not renewed", why)
	}
	return pubsub.Receipt{ID: id, Duplicate: outcome == wasRepeated || outcome == wasNotRenewed}
}

// refusal is the error of one command of a script.
type refusal string

func (r refusal) Error() string { return string(r) }

// RedisError implements redis.Error.
func (refusal) RedisError() {}

// reportPartial counts and logs that Redis refused a part of an operation that was
// carried out.
func (b *Broker) reportPartial(o Operation, what string, why any) {
	err, _ := why.(string)
	b.errorCounts.count(o, refusal(err))
	b.partial.Warn("redis refused a part of an operation; the rest was done", "operation", string(o), "part", what, "error", err)
}

// reached returns an error if the answer of WAIT shows that too few replicas have the
// messages. wait may be nil.
func (b *Broker) reached(wait *redis.Cmd) error {
	if wait == nil {
		return nil
	}
	need := b.options.MinReplicas
	switch n, err := wait.Int(); {
	case err != nil:
		return fmt.Errorf("%w: wait for %d replicas: %w", pubsub.ErrOutcomeUnknown, need, err)
	case n < need:
		return fmt.Errorf("%w: %w: %d of redis.min_replicas = %d", pubsub.ErrOutcomeUnknown, errTooFew, n, need)
	}
	return nil
}
