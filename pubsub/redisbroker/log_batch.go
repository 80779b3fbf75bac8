package redisbroker

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"comet/pubsub"
)

// Limits of one call of publish.lua, during which Redis does nothing else.
const (
	chunkDrafts = 64
	chunkBytes  = 256 << 10
)

// series is the drafts of one channel of a batch. They are published a chunk at a time:
// a chunk is sent after the answer to the one before it. So no draft overtakes another,
// even if a chunk has to be sent again (a script that is not loaded, a slot that has
// moved), because Redis carries out a chunk as a whole or not at all.
type series struct {
	channel string
	at      []int // indices of the drafts that are not published yet, in order
}

// publishAll publishes several drafts, of one or more channels. Chunks of different
// channels share one pipeline to each primary.
func (b *Broker) publishAll(ctx context.Context, drafts []pubsub.Draft, receipts []pubsub.Receipt) {
	for todo := seriesOf(drafts); len(todo) > 0; {
		chunks := make([]chunk, len(todo))
		for i, s := range todo {
			chunks[i] = s.next(drafts)
		}
		b.eachPrimary(ctx, len(chunks), func(i int) string { return todo[i].channel },
			func(i int, err error) { chunks[i].fail(err) },
			func(p *primary, at []int) { b.publishChunks(ctx, p, chunks, at) })
		rest := todo[:0]
		for i, s := range todo {
			copyTo(receipts, s.at, chunks[i].receipts)
			s.at = s.at[len(chunks[i].drafts):]
			switch err := chunks[i].err; {
			case len(s.at) == 0:
			case err != nil:
				for _, i := range s.at {
					receipts[i].Err = fmt.Errorf("%w: not sent, because an earlier message of the batch failed: %w", pubsub.ErrUnavailable, err)
				}
			default:
				rest = append(rest, s)
			}
		}
		todo = rest
	}
}

// seriesOf groups drafts by channel.
func seriesOf(drafts []pubsub.Draft) (all []*series) {
	byChannel := make(map[string]*series)
	for i := range drafts {
		s := byChannel[drafts[i].Channel]
		if s == nil {
			s = &series{channel: drafts[i].Channel}
			byChannel[s.channel] = s
			all = append(all, s)
		}
		s.at = append(s.at, i)
	}
	return all
}

// chunk is the drafts that one call publishes, and their receipts.
type chunk struct {
	drafts   []pubsub.Draft
	receipts []pubsub.Receipt
	err      error // of the call as a whole; all receipts have it too
}

// next returns the next chunk.
func (s *series) next(drafts []pubsub.Draft) chunk {
	n, bytes := 0, 0
	for ; n < min(len(s.at), chunkDrafts); n++ {
		bytes += len(drafts[s.at[n]].Data)
		if n > 0 && bytes > chunkBytes {
			break
		}
	}
	c := chunk{drafts: make([]pubsub.Draft, n), receipts: make([]pubsub.Receipt, n)}
	for i := range c.drafts {
		c.drafts[i] = drafts[s.at[i]]
	}
	return c
}

func (c *chunk) fail(err error) {
	c.err = err
	for i := range c.receipts {
		c.receipts[i].Err = publishError(err)
	}
}

// copyTo copies receipts to their places in all.
func copyTo(all []pubsub.Receipt, at []int, receipts []pubsub.Receipt) {
	for i, r := range receipts {
		all[at[i]] = r
	}
}

// publishChunks publishes the chunks at the given indices. Each is of another channel,
// and p has all of these channels.
func (b *Broker) publishChunks(ctx context.Context, p *primary, chunks []chunk, at []int) {
	calls, wait := b.callChunks(ctx, p, chunks, at, false)
	var again []int
	for n, i := range at {
		if notLoaded(calls[n].cmd.Err()) {
			again = append(again, i)
		} else {
			b.finishChunk(&chunks[i], calls[n], wait)
		}
	}
	if len(again) > 0 {
		calls, wait = b.callChunks(ctx, p, chunks, again, true)
		for n, i := range again {
			b.finishChunk(&chunks[i], calls[n], wait)
		}
	}
	var others errgroup.Group
	others.SetLimit(redirects)
	for _, i := range at {
		c := &chunks[i]
		if kind, _ := redirected(c.err); kind != none || notLoaded(c.err) {
			others.Go(func() error {
				c.err = b.publishChunk(ctx, c.drafts, c.receipts, false)
				return nil
			})
		}
	}
	_ = others.Wait() // each chunk has its own error
}

// callChunks calls publish.lua for chunks in one pipeline. With load it loads the script
// first. Another client may flush it in between, because Redis reads a pipeline in
// pieces.
func (b *Broker) callChunks(ctx context.Context, p *primary, chunks []chunk, at []int, load bool) (calls []*call, wait *redis.Cmd) {
	pipe := p.client.Pipeline()
	if load {
		publishScript.loadIn(ctx, pipe)
		if b.options.Index != nil {
			indexScript.loadIn(ctx, pipe)
		}
	}
	calls = make([]*call, len(at))
	for n, i := range at {
		calls[n] = b.newChunkCall(ctx, chunks[i].drafts)
		_ = pipe.Process(ctx, calls[n].cmd) // which only queues it
	}
	if b.options.MinReplicas > 0 {
		wait = pipe.Do(ctx, "wait", b.options.MinReplicas, b.waitFor().Milliseconds())
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	return calls, wait
}

// newChunkCall makes the call that publishes drafts of one channel.
func (b *Broker) newChunkCall(ctx context.Context, drafts []pubsub.Draft) *call {
	if d := &drafts[0]; len(drafts) == 1 && d.Ephemeral && b.options.Index.Log(d.Channel) == "" {
		if payload, old := encodeEphemeral(d); old == nil {
			return newRelayCall(ctx, b.verb(), b.keys.live(d.Channel), payload)
		}
	}
	script, keys, args := b.publishArgs(drafts)
	return newScriptCall(ctx, script, false, keys, args)
}

// finishChunk sets the results of a chunk from the answer to its call.
func (b *Broker) finishChunk(c *chunk, call *call, wait *redis.Cmd) {
	cmd := call.markUnsent()
	if _, relayed := cmd.Val().(int64); relayed {
		c.err = nil
		return // as publishEphemeral
	}
	c.err = b.fillReceipts(c.receipts, cmd, wait)
}
