package redisbroker

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A redirect is an answer that says the command was not carried out, and that
// it is to be sent again, here or elsewhere
// (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding).
type redirect uint8

const (
	none  redirect = iota
	moved          // another primary has the slot
	ask            // the slot is on its way; for this once, ask another primary
	later          // the slot is on its way, or has no primary at the moment
)

// redirected reads an answer; address is whom to ask.
func redirected(err error) (kind redirect, address string) {
	if err == nil || !refused(err) {
		return none, ""
	}
	words := strings.Fields(err.Error())
	switch {
	case len(words) == 3 && words[0] == "MOVED":
		return moved, words[2]
	case len(words) == 3 && words[0] == "ASK":
		return ask, words[2]
	case len(words) > 0 && (words[0] == "TRYAGAIN" || words[0] == "CLUSTERDOWN"):
		return later, ""
	}
	return none, ""
}

// Between two tries the cluster gets some time to settle.
const (
	minRedirectPause = 5 * time.Millisecond
	maxRedirectPause = 200 * time.Millisecond
)

// call carries out one call of a script at the primary of its first key,
// wherever that is by now, until ctx ends; at that primary send sends it. If the
// key is on its way elsewhere and was found there, left is the primary that it
// leaves.
func (b *Broker) call(ctx context.Context, s *script, keys []string, args []any, send func(*primary) *redis.Cmd) (cmd *redis.Cmd, left *primary) {
	pause := minRedirectPause
	for {
		p, err := b.topology.of(ctx, keys[0])
		if err != nil {
			return failed(ctx, err), nil
		}
		cmd := send(p)
		kind, address := redirected(cmd.Err())
		if kind == ask {
			left = p
			cmd = b.ask(ctx, address, s, keys, args)
			kind, _ = redirected(cmd.Err())
		}
		if kind == none {
			return cmd, left
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
			return cmd, nil // it was refused
		}
		pause = min(2*pause, maxRedirectPause)
		b.topology.refresh(ctx)
	}
}

// ask calls at the primary that a slot is on its way to.
func (b *Broker) ask(ctx context.Context, address string, s *script, keys []string, args []any) *redis.Cmd {
	p, err := b.topology.at(ctx, address)
	if err != nil {
		return failed(ctx, err)
	}
	var cmd *redis.Cmd
	_, _ = p.client.Pipelined(ctx, func(pipe redis.Pipeliner) error { // the command has its error
		pipe.Do(ctx, "asking")
		cmd = pipe.Eval(ctx, s.text, keys, args...)
		return nil
	})
	return cmd
}

func failed(ctx context.Context, err error) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(err)
	return cmd
}
