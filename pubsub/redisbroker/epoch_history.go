package redisbroker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"comet/pubsub"
)

// lives knows which generations were one and the same life of a primary. Redis
// draws a new replication ID, and so begins a generation, also when a primary
// gets its first replica since it started, and when it has had none for
// repl-backlog-ttl. Nothing is lost then. The process is still the same, and
// has not taken over from another since, of which master_replid2 would tell.
// To ask for both in publish.lua would cost 9 µs each time.
type lives struct {
	mu    sync.Mutex
	of    map[pubsub.Epoch]life
	known map[string]time.Time // since when, by what life.lua calls them
}

type life struct{ process, before string } // run_id and master_replid2

// maxLives bounds what is remembered. One that is forgotten is told as a
// failover.
const maxLives = 256

func (l *lives) knows(gen pubsub.Epoch) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.of[gen]
	return known
}

// knownSince is when this node was first told of a life.
func (l *lives) knownSince(name string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, known := l.known[name]
	if !known {
		if len(l.known) >= 16*maxLives || l.known == nil { // what is forgotten counts as new
			l.known = make(map[string]time.Time)
		}
		at = time.Now()
		l.known[name] = at
	}
	return at
}

// generationsOf is those of a life, by what life.lua calls it.
func (l *lives) generationsOf(name string) (all []pubsub.Epoch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for gen, life := range l.of {
		if life.process+" "+life.before == name {
			all = append(all, gen)
		}
	}
	return all
}

// learn remembers whose generations some are, and returns all of the same life.
func (l *lives) learn(some []pubsub.Epoch, now life) (same []pubsub.Epoch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil || len(l.of) >= maxLives {
		l.of = make(map[pubsub.Epoch]life)
	}
	for _, gen := range some {
		l.of[gen] = now
	}
	// A process does not come back to an earlier life.
	maps.DeleteFunc(l.of, func(_ pubsub.Epoch, other life) bool {
		return other.process == now.process && other != now
	})
	for other, of := range l.of {
		if of == now {
			same = append(same, other)
		}
	}
	return same
}

// lifeMemory is for how long it is remembered since when primaries lived, if no
// node starts and no slot moves meanwhile.
const lifeMemory = 90 * 24 * time.Hour

// beginning is when a life began, see pubsub.EpochStart.
type beginning struct {
	life      string // as life.lua calls it
	at, known time.Time
}

// primaryLives is what a primary says of its own life and earlier ones.
type primaryLives struct {
	same  []pubsub.Epoch // of its life, as far as nodes saw them
	whole []pubsub.Epoch // of those that it took over with everything acknowledged
	began []beginning
}

// livesOf asks p for its lives.
func (b *Broker) livesOf(ctx context.Context, p *primary) (l primaryLives, err error) {
	args := append([]any{lifeMemory.Milliseconds(), maxLives}, b.looks.args()...)
	cmd := lifeScript.evaluate(ctx, p.client, b.livesKey(ctx, p), args)
	if kind, _ := redirected(cmd.Err()); kind != none { // its slot is on the way
		cmd = lifeScript.evaluate(ctx, p.client, nil, args)
	}
	answer, err := cmd.Slice()
	if err != nil || len(answer) != 6 {
		return l, err
	}
	gen, _ := answer[0].(int64)
	process, _ := answer[1].(string)
	before, _ := answer[2].(string)
	times, _ := answer[4].([]any)
	for i := 0; i+1 < len(times); i += 2 {
		name, _ := times[i].(string)
		ms, _ := times[i+1].(int64)
		l.began = append(l.began, beginning{life: name, at: time.UnixMilli(ms), known: b.lives.knownSince(name)})
	}
	const runIDLen = 40
	if len(process) < runIDLen { // some providers hide it: each generation is a life of its own
		some := []pubsub.Epoch{pubsub.Epoch(gen)}
		l.same = b.lives.learn(some, life{process: fmt.Sprint(gen)})
		return l, nil
	}
	l.same = b.lives.learn(generations(answer[3]), life{process, before})
	if b.options.MinReplicas > 0 {
		l.whole = generations(answer[5])
	}
	return l, nil
}

// generations reads a list of life.lua's.
func generations(answer any) []pubsub.Epoch {
	list, _ := answer.([]any)
	all := make([]pubsub.Epoch, len(list))
	for i := range list {
		gen, _ := list[i].(int64)
		all[i] = pubsub.Epoch(gen)
	}
	return all
}

// manySlots is how many keys are tried for one in a slot of a primary: that of
// a single slot is found with a probability of 0.998.
const manySlots = 100_000

// livesKey is KEYS of life.lua: all nodes ask p for the same key, as long as
// its slots are the same.
func (b *Broker) livesKey(ctx context.Context, p *primary) []string {
	if !b.sharded() {
		return []string{b.keys.lives()}
	}
	for n := range manySlots {
		key := b.keys.livesAt(n)
		if at, err := b.topology.of(ctx, key); err != nil {
			return nil
		} else if at == p {
			return []string{key}
		}
	}
	return nil
}

// isMixedLife reports whether a page comes from another generation than its
// query's reader or one of its messages. That may be a failover or not, which
// Page.Lives tells.
func isMixedLife(q *pubsub.Query, page *pubsub.Page) bool {
	if q.Epoch != 0 && q.Epoch != page.Epoch {
		return true
	}
	return slices.ContainsFunc(page.Messages, func(m *pubsub.Message) bool { return m.ID.Epoch != page.Epoch && !m.IsUnreadable() })
}

// livesSeenBy asks the primaries in the eyes of p. What cannot be found out is
// left out, so that a loss is told rather than not.
func (b *Broker) livesSeenBy(ctx context.Context, p *primary) (l pubsub.EpochHistory) {
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout/2) // the page is there, whoever hangs
	defer cancel()
	primaries := []*primary{p}
	if b.sharded() {
		primaries = b.seenBy(ctx, p)
	}
	var mu sync.Mutex
	var all []beginning
	var asked sync.WaitGroup
	for _, other := range primaries {
		asked.Go(func() {
			lives, err := b.livesOf(ctx, other)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if other == p {
				l.Same, l.Whole = lives.same, lives.whole
			} else {
				l.Others = append(l.Others, lives.same...)
			}
			all = append(all, lives.began...)
		})
	}
	asked.Wait()
	for _, one := range all { // now that each knows of all
		l.Starts = append(l.Starts, pubsub.EpochStart{At: one.at, Known: one.known, Epochs: b.lives.generationsOf(one.life)})
	}
	if len(l.Same) == 0 {
		l.Others = nil // nobody knows how old p's own life is
	}
	return l
}

// seenBy is the primaries in the view of p: one that was replaced is none for
// others, while itself, cut off, may still think so.
func (b *Broker) seenBy(ctx context.Context, p *primary) []*primary {
	nodes, err := p.client.ClusterNodes(ctx).Result()
	if err != nil {
		return nil
	}
	v, err := parseNodes(nodes, p.address)
	if err != nil {
		return nil
	}
	all, _ := b.topology.all(ctx)
	return slices.DeleteFunc(slices.Clone(all), func(other *primary) bool {
		n := v.nodes[other.id]
		return n == nil || !n.primary || !n.healthy
	})
}
