package redisbroker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// call is one command that publishes. It knows whether the command has left this
// process, and can be withdrawn until then. A command that never leaves fails with
// ErrUnavailable instead of ErrOutcomeUnknown.
type call struct {
	cmd   *redis.Cmd
	first string // the command's first argument: a script or a pub/sub channel
	state atomic.Int32
}

// The states of a call.
const (
	queued int32 = iota
	left
	withdrawn
)

// newScriptCall makes a call of a script by its hash or, with whole, by its text.
func newScriptCall(ctx context.Context, s *script, whole bool, keys []string, args []any) *call {
	c := &call{first: s.Hash()}
	name := "evalsha"
	if whole {
		name, c.first = "eval", s.text
	}
	c.cmd = redis.NewCmd(ctx, command(name, c, keys, args)...)
	return c
}

// newRelayCall makes a call that relays payload on the pub/sub channel live.
func newRelayCall(ctx context.Context, verb, live string, payload []byte) *call {
	c := &call{first: live}
	c.cmd = redis.NewCmd(ctx, verb, c, payload)
	return c
}

// MarshalBinary implements encoding.BinaryMarshaler. go-redis calls it for the argument
// when it writes the command to a connection. A withdrawn call has an empty argument,
// which is no script and no pub/sub channel in use, so it does nothing.
func (c *call) MarshalBinary() ([]byte, error) {
	if c.state.CompareAndSwap(queued, left) || c.state.Load() == left {
		return []byte(c.first), nil
	}
	return nil, nil
}

// markUnsent wraps the error of a call that has not left in ErrUnavailable. Call it once
// the call cannot leave any more.
func (c *call) markUnsent() *redis.Cmd {
	if err := c.cmd.Err(); err != nil && c.state.Load() == queued {
		c.cmd.SetErr(fmt.Errorf("%w: %w", pubsub.ErrUnavailable, err))
	}
	return c.cmd
}

// Limits of one pipeline, so that it does not delay other clients of Redis and fits into
// the connection's buffers.
const (
	pipelineCalls = 200
	pipelineBytes = 128 << 10
)

// pipeline sends calls to one primary, one batch at a time. Calls that come meanwhile
// share the next batch.
type pipeline struct {
	client *redis.Client

	mu     sync.Mutex
	queue  []*batch // the last one takes more calls
	busy   bool     // run is at work
	closed bool
	runs   sync.WaitGroup
}

// batch is the calls of one pipeline.
type batch struct {
	calls []*call
	bytes int
	done  chan struct{} // closed when all calls are answered
}

func newPipeline(client *redis.Client) *pipeline { return &pipeline{client: client} }

// script calls a script, and loads it where it is missing.
func (p *pipeline) script(ctx context.Context, s *script, keys []string, args []any, bytes int) *redis.Cmd {
	cmd := p.do(ctx, newScriptCall(ctx, s, false, keys, args), bytes)
	if notLoaded(cmd.Err()) {
		cmd = p.do(ctx, newScriptCall(ctx, s, true, keys, args), bytes+len(s.text))
	}
	return cmd
}

// do carries out a call of about the given number of bytes. It waits for the answer until
// ctx ends. Then the call is withdrawn or, if it has left already, its outcome is unknown.
func (p *pipeline) do(ctx context.Context, c *call, bytes int) *redis.Cmd {
	b := p.add(c, bytes)
	if b == nil {
		return failed(ctx, redis.ErrClosed)
	}
	select {
	case <-b.done:
		return c.markUnsent()
	case <-ctx.Done():
	}
	if c.state.CompareAndSwap(queued, withdrawn) {
		return failed(ctx, fmt.Errorf("%w: not sent: %w", pubsub.ErrUnavailable, context.Cause(ctx)))
	}
	return failed(ctx, context.Cause(ctx)) // c.cmd belongs to the pipeline
}

// add queues a call. It returns nil after close.
func (p *pipeline) add(c *call, bytes int) *batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	n := len(p.queue)
	if n == 0 || len(p.queue[n-1].calls) >= pipelineCalls || p.queue[n-1].bytes+bytes > pipelineBytes {
		p.queue = append(p.queue, &batch{done: make(chan struct{})})
		n++
	}
	b := p.queue[n-1]
	b.calls = append(b.calls, c)
	b.bytes += bytes
	if !p.busy {
		p.busy = true
		p.runs.Go(p.run)
	}
	return b
}

// run sends batches until the queue is empty.
func (p *pipeline) run() {
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.busy = false
			p.mu.Unlock()
			return
		}
		b := p.queue[0]
		p.queue = p.queue[1:]
		p.mu.Unlock()
		p.send(b)
	}
}

// send carries out a batch in one pipeline. Each call has its own error.
func (p *pipeline) send(b *batch) {
	pipe := p.client.Pipeline()
	for _, c := range b.calls {
		_ = pipe.Process(context.Background(), c.cmd) // which only queues it
	}
	_, _ = pipe.Exec(context.Background()) // the client's time limits bound it
	close(b.done)
}

// close fails the queued calls and all later ones, and waits for the batch under way.
// The caller has closed the client's connections, which ends that batch.
func (p *pipeline) close() {
	p.mu.Lock()
	queue := p.queue
	p.queue, p.closed = nil, true
	p.mu.Unlock()
	for _, b := range queue {
		for _, c := range b.calls {
			c.cmd.SetErr(redis.ErrClosed)
		}
		close(b.done)
	}
	p.runs.Wait()
}
