package redisbroker

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"comet/pubsub/redistest"
)

// Some providers hide parts of INFO: the epoch is known nevertheless.
func TestHistoryWithoutInfo(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	const asks = "redis.call('INFO', 'server', 'replication')"
	for _, info := range []string{"", "run_id:\\r\\n", "run_id:\\r\\nmaster_replid2:0000\\r\\n"} {
		text := strings.Replace(historyLua, asks, "'"+info+"'", 1)
		if text == historyLua {
			t.Fatalf("epoch_history.lua does not call %s", asks)
		}
		answer, err := client.Eval(t.Context(), epochLua+text, []string{"lives"}, time.Hour.Milliseconds(), maxEpochs).Slice()
		if err != nil || len(answer) != 6 || answer[0] == int64(0) {
			t.Errorf("%q: %v, %v", info, answer, err)
		}
	}
}
