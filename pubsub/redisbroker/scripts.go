package redisbroker

import (
	"context"
	_ "embed"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed epoch.lua
	epochLua string
	//go:embed newest.lua
	newestLua string
	//go:embed index.lua
	indexLua string
	//go:embed publish.lua
	publishLua string
	//go:embed read.lua
	readLua string
	//go:embed check.lua
	checkLua string
	//go:embed probe.lua
	probeLua string
	//go:embed epoch_history.lua
	historyLua string
	//go:embed announce.lua
	announceLua string
	//go:embed nodes.lua
	nodesLua string
	//go:embed hold.lua
	holdLua string
	//go:embed members.lua
	membersLua string
	//go:embed record.lua
	recordLua string
	//go:embed recordread.lua
	recordReadLua string

	publishScript = newScript(epochLua + newestLua + publishLua)
	indexScript   = newScript(epochLua + newestLua + indexLua + publishLua)
	readScript    = newScript(epochLua + newestLua + readLua)
	checkScript   = newScript(epochLua + checkLua)
	probeScript   = newScript(epochLua + probeLua)
	historyScript = newScript(epochLua + historyLua)

	announceScript = newScript(announceLua)
	nodesScript    = newScript(nodesLua)
	holdScript     = newScript(epochLua + holdLua)
	membersScript  = newScript(epochLua + membersLua)

	recordScript     = newScript(recordLua)
	recordReadScript = newScript(epochLua + recordReadLua)
)

// script is a Lua script. It keeps the text for servers that have not loaded it.
type script struct {
	*redis.Script
	text string
}

func newScript(text string) *script { return &script{redis.NewScript(text), text} }

// loadIn loads s in a pipeline. redis.Script.Load does not work there: it reads the
// answer, which has not come yet.
func (s *script) loadIn(ctx context.Context, pipe redis.Pipeliner) { pipe.ScriptLoad(ctx, s.text) }

// evaluate calls s through c, and loads it if it is missing.
func (s *script) evaluate(ctx context.Context, c redis.Scripter, keys []string, args []any) *redis.Cmd {
	cmd := c.EvalSha(ctx, s.Hash(), keys, args...)
	if notLoaded(cmd.Err()) {
		cmd = c.Eval(ctx, s.text, keys, args...)
	}
	return cmd
}

// evaluateAll sends n calls of s in one pipeline. args returns the KEYS and ARGV of each.
// With load it loads the script first. Each command has its own error.
func (s *script) evaluateAll(ctx context.Context, c *redis.Client, n int, load bool, args func(i int) ([]string, []any)) []*redis.Cmd {
	pipe := c.Pipeline()
	if load {
		s.loadIn(ctx, pipe)
	}
	cmds := make([]*redis.Cmd, n)
	for i := range cmds {
		keys, values := args(i)
		cmds[i] = pipe.EvalSha(ctx, s.Hash(), keys, values...)
	}
	_, _ = pipe.Exec(ctx) // the errors of the commands
	return cmds
}

// around is the commands before and after a script on its connection.
type around struct {
	asking   bool          // send ASKING before it
	replicas int           // unless 0, send WAIT for this number of replicas after it
	patience time.Duration // timeout of WAIT
}

// inPipeline calls s through c, with the commands around it in one pipeline. wait is the
// answer to WAIT, or nil.
func (s *script) inPipeline(ctx context.Context, c *redis.Client, keys []string, args []any, a around) (cmd, wait *redis.Cmd) {
	send := func(call func(redis.Pipeliner) *redis.Cmd) {
		_, _ = c.Pipelined(ctx, func(pipe redis.Pipeliner) error { // each command has its error
			if a.asking {
				pipe.Do(ctx, "asking")
			}
			cmd = call(pipe)
			if a.replicas > 0 {
				wait = pipe.Do(ctx, "wait", a.replicas, a.patience.Milliseconds())
			}
			return nil
		})
	}
	send(func(pipe redis.Pipeliner) *redis.Cmd { return pipe.EvalSha(ctx, s.Hash(), keys, args...) })
	if notLoaded(cmd.Err()) {
		send(func(pipe redis.Pipeliner) *redis.Cmd { return pipe.Eval(ctx, s.text, keys, args...) })
	}
	return cmd, wait
}

// command returns the words of EVAL or EVALSHA.
func command(name string, script any, keys []string, args []any) []any {
	words := make([]any, 0, 3+len(keys)+len(args))
	words = append(words, name, script, len(keys))
	for _, key := range keys {
		words = append(words, key)
	}
	return append(words, args...)
}

// notLoaded reports whether Redis does not have the script, as after a restart or SCRIPT
// FLUSH. The call did nothing and can be made again.
func notLoaded(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT")
}
