package redisbroker

import (
	"context"
	_ "embed"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed generation.lua
	generationLua string
	//go:embed publish.lua
	publishLua string
	//go:embed read.lua
	readLua string

	publishScript = redis.NewScript(generationLua + publishLua)
	readScript    = redis.NewScript(generationLua + readLua)
)

// queue adds a call of s to a pipeline.
func queue(ctx context.Context, p redis.Pipeliner, s *redis.Script, keys []string, args []any) *redis.Cmd {
	return p.EvalSha(ctx, s.Hash(), keys, args...)
}

// notLoaded reports whether Redis does not know a script (it was restarted, or
// SCRIPT FLUSH came): the call did nothing and can be made again in full.
func notLoaded(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT")
}
