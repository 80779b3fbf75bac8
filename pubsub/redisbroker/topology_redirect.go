package redisbroker

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// redirect is a kind of answer that means that the command was not carried out, and has to
// be sent again, here or elsewhere
// (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding).
type redirect uint8

const (
	none  redirect = iota
	moved          // another primary has the slot
	ask            // the slot is moving; ask another primary, this time only
	later          // the slot is moving, or has no primary at the moment
)

// redirected returns the kind of redirect that err is. address is where the slot is
// according to Redis: <endpoint>:<port>, where the endpoint is an IP address (IPv6 without
// brackets), a host name, "?" or empty, see topology.at.
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

// Pauses between two attempts, for the cluster to settle.
const (
	minRedirectPause = 5 * time.Millisecond
	maxRedirectPause = 200 * time.Millisecond
)

// send sends one command to p. With asking it sends ASKING before it, because the key is
// only moving to p.
type send func(p *primary, asking bool) redis.Cmder

// call carries out one command at the primary of a key, and follows redirects until ctx
// ends. If the key is moving and was found at its new primary, left is the old one.
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
			return cmd, nil // cmd has the redirect
		}
		pause, left = min(2*pause, maxRedirectPause), nil
		_, _ = b.topology.all(ctx) // on failure the known primaries are tried again
	}
}

// callScript calls a script through call, in a pipeline of its own. It also returns the
// primary that answered, nil without one.
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
