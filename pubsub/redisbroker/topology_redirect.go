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

// redirected reads an answer. The address is where Redis says that the slot is:
// <endpoint>:<port>, where the endpoint may be an IP address (IPv6 without
// brackets), a host name, "?" or nothing, see topology.at.
func redirected(err error) (kind redirect, address string) {
	if err == nil || !refused(err) {
		return none, ""
	}
	words := strings.Fields(err.Error())
	switch {
	case len(words) >= 3 && words[0] == "MOVED":
		return moved, words[2]
	case len(words) >= 3 && words[0] == "ASK":
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

// send sends one command to p. With asking it does so behind an ASKING, because
// p is only about to have the key.
type send func(p *primary, asking bool) redis.Cmder

// call carries out one command at the primary of a key, wherever that is by
// now, until ctx ends. If the key is on its way elsewhere and was found there,
// left is the primary that it leaves.
func (b *Broker) call(ctx context.Context, key string, do send) (cmd redis.Cmder, left *primary) {
	pause := minRedirectPause
	for {
		p, err := b.topology.of(ctx, key)
		if err != nil {
			return failed(ctx, err), nil
		}
		cmd = do(p, false)
		kind, address := redirected(cmd.Err())
		if kind == ask {
			if to, err := b.topology.at(ctx, p, address); err == nil {
				cmd, left = do(to, true), p
				kind, _ = redirected(cmd.Err())
			}
		}
		if kind == none {
			return cmd, left
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
			return cmd, nil // it was refused
		}
		pause, left = min(2*pause, maxRedirectPause), nil
		_, _ = b.topology.all(ctx) // else what was known before is the best there is
	}
}

// callScript calls a script through call, on a connection of its own.
// It also returns who answered, nil if nobody did.
func (b *Broker) callScript(ctx context.Context, s *script, keys []string, args []any) (answer *redis.Cmd, by *primary) {
	cmd, _ := b.call(ctx, keys[0], func(p *primary, asking bool) redis.Cmder {
		by = p
		if !asking {
			return s.evaluate(ctx, p.client, keys, args)
		}
		cmd, _ := s.inPipeline(ctx, p.client, keys, args, around{asking: true})
		return cmd
	})
	return cmd.(*redis.Cmd), by
}

func failed(ctx context.Context, err error) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(err)
	return cmd
}
