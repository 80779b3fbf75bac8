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

	publishScript = newScript(generationLua + publishLua)
	readScript    = newScript(generationLua + readLua)

	generationScript = newScript(generationLua + "return generation()")
)

// script is a Lua script with its text, for servers that do not have it yet.
type script struct {
	*redis.Script
	text string
}

func newScript(text string) *script { return &script{redis.NewScript(text), text} }

// evaluate calls s through c, and loads it where it is missing.
func (s *script) evaluate(ctx context.Context, c redis.Scripter, keys []string, args []any) *redis.Cmd {
	cmd := c.EvalSha(ctx, s.Hash(), keys, args...)
	if notLoaded(cmd.Err()) {
		cmd = c.Eval(ctx, s.text, keys, args...)
	}
	return cmd
}

// notLoaded reports whether Redis does not know a script (it was restarted, or
// SCRIPT FLUSH came): the call did nothing and can be made again in full.
func notLoaded(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT")
}
