package redisbroker

import (
	"context"
	"maps"
	"sync"

	"comet/pubsub"
)

// lives knows which generations were one and the same life of a primary. Redis
// draws a new replication ID, and so begins a generation, also when a primary
// gets its first replica since it started, and when it has had none for
// repl-backlog-ttl. Nothing is lost then. The process is still the same, and
// has not taken over from another since, of which master_replid2 would tell.
// To ask for both in publish.lua would cost 9 µs each time.
type lives struct {
	mu sync.Mutex
	of map[pubsub.Generation]life
}

type life struct{ process, before string } // run_id and master_replid2

// maxLives bounds what is remembered. One that is forgotten is told as a
// failover.
const maxLives = 256

func (l *lives) knows(gen pubsub.Generation) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.of[gen]
	return known
}

// learn remembers whose generations some are, and returns all of the same life.
func (l *lives) learn(some []pubsub.Generation, now life) (same []pubsub.Generation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil || len(l.of) >= maxLives {
		l.of = make(map[pubsub.Generation]life)
	}
	for _, gen := range some {
		l.of[gen] = now
	}
	// A process does not come back to an earlier life.
	maps.DeleteFunc(l.of, func(_ pubsub.Generation, other life) bool {
		return other.process == now.process && other != now
	})
	for other, of := range l.of {
		if of == now {
			same = append(same, other)
		}
	}
	return same
}

// livesOf asks p which generations its life had, as far as a node saw them; on
// Redis Cluster, this node.
func (b *Broker) livesOf(ctx context.Context, p *primary) ([]pubsub.Generation, error) {
	var keys []string
	if !b.sharded() {
		keys = []string{b.keys.lives()}
	}
	answer, err := lifeScript.evaluate(ctx, p.client, keys, []any{b.options.TTL.Milliseconds()}).Slice()
	if err != nil || len(answer) != 4 {
		return nil, err
	}
	gen, _ := answer[0].(int64)
	process, _ := answer[1].(string)
	before, _ := answer[2].(string)
	list, _ := answer[3].([]any)
	const runIDLen = 40
	if len(process) < runIDLen { // some providers hide it
		return []pubsub.Generation{pubsub.Generation(gen)}, nil
	}
	same := make([]pubsub.Generation, len(list))
	for i := range list {
		gen, _ := list[i].(int64)
		same[i] = pubsub.Generation(gen)
	}
	return b.lives.learn(same, life{process, before}), nil
}
