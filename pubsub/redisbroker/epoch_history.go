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
type epochHistory struct {
	mu        sync.Mutex
	runs      map[pubsub.Epoch]run
	firstSeen map[string]time.Time // since when, by what epoch_history.lua calls them
}

type run struct{ process, before string } // run_id and master_replid2

// maxEpochs bounds what is remembered. One that is forgotten is told as a
// failover.
const maxEpochs = 256

func (h *epochHistory) knows(epoch pubsub.Epoch) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, known := h.runs[epoch]
	return known
}

// firstSeenAt is when this node was first told of a life.
func (h *epochHistory) firstSeenAt(name string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, known := h.firstSeen[name]
	if !known {
		if len(h.firstSeen) >= 16*maxEpochs || h.firstSeen == nil { // what is forgotten counts as new
			h.firstSeen = make(map[string]time.Time)
		}
		at = time.Now()
		h.firstSeen[name] = at
	}
	return at
}

// epochsOf is those of a life, by what epoch_history.lua calls it.
func (h *epochHistory) epochsOf(name string) (all []pubsub.Epoch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for epoch, run := range h.runs {
		if run.process+" "+run.before == name {
			all = append(all, epoch)
		}
	}
	return all
}

// learn remembers whose generations some are, and returns all of the same life.
func (h *epochHistory) learn(some []pubsub.Epoch, now run) (same []pubsub.Epoch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs == nil || len(h.runs) >= maxEpochs {
		h.runs = make(map[pubsub.Epoch]run)
	}
	for _, epoch := range some {
		h.runs[epoch] = now
	}
	// A process does not come back to an earlier life.
	maps.DeleteFunc(h.runs, func(_ pubsub.Epoch, other run) bool {
		return other.process == now.process && other != now
	})
	for other, of := range h.runs {
		if of == now {
			same = append(same, other)
		}
	}
	return same
}

// historyTTL is for how long it is remembered since when primaries lived, if no
// node starts and no slot moves meanwhile.
const historyTTL = 90 * 24 * time.Hour

// runStart is when a life began, see pubsub.EpochStart.
type runStart struct {
	run       string // as epoch_history.lua calls it
	at, known time.Time
}

// primaryHistory is what a primary says of its own life and earlier ones.
type primaryHistory struct {
	same  []pubsub.Epoch // of its life, as far as nodes saw them
	whole []pubsub.Epoch // of those that it took over with everything acknowledged
	began []runStart
}

// historyOf asks p for its lives.
func (b *Broker) historyOf(ctx context.Context, p *primary) (l primaryHistory, err error) {
	args := append([]any{historyTTL.Milliseconds(), maxEpochs}, b.replicas.args()...)
	cmd := historyScript.evaluate(ctx, p.client, b.historyKey(ctx, p), args)
	if kind, _ := redirected(cmd.Err()); kind != none { // its slot is on the way
		cmd = historyScript.evaluate(ctx, p.client, nil, args)
	}
	answer, err := cmd.Slice()
	if err != nil || len(answer) != 6 {
		return l, err
	}
	epoch, _ := answer[0].(int64)
	process, _ := answer[1].(string)
	before, _ := answer[2].(string)
	times, _ := answer[4].([]any)
	for i := 0; i+1 < len(times); i += 2 {
		name, _ := times[i].(string)
		ms, _ := times[i+1].(int64)
		l.began = append(l.began, runStart{run: name, at: time.UnixMilli(ms), known: b.history.firstSeenAt(name)})
	}
	const runIDLen = 40
	if len(process) < runIDLen { // some providers hide it: each generation is a life of its own
		some := []pubsub.Epoch{pubsub.Epoch(epoch)}
		l.same = b.history.learn(some, run{process: fmt.Sprint(epoch)})
		return l, nil
	}
	l.same = b.history.learn(decodeEpochs(answer[3]), run{process, before})
	if b.options.MinReplicas > 0 {
		l.whole = decodeEpochs(answer[5])
	}
	return l, nil
}

// decodeEpochs reads a list of epoch_history.lua's.
func decodeEpochs(answer any) []pubsub.Epoch {
	list, _ := answer.([]any)
	all := make([]pubsub.Epoch, len(list))
	for i := range list {
		epoch, _ := list[i].(int64)
		all[i] = pubsub.Epoch(epoch)
	}
	return all
}

// manySlots is how many keys are tried for one in a slot of a primary: that of
// a single slot is found with a probability of 0.998.
const manySlots = 100_000

// historyKey is KEYS of epoch_history.lua: all nodes ask p for the same key, as long as
// its slots are the same.
func (b *Broker) historyKey(ctx context.Context, p *primary) []string {
	if !b.sharded() {
		return []string{b.keys.history()}
	}
	for n := range manySlots {
		key := b.keys.historyAt(n)
		if at, err := b.topology.of(ctx, key); err != nil {
			return nil
		} else if at == p {
			return []string{key}
		}
	}
	return nil
}

// mixesEpochs reports whether a page comes from another generation than its
// query's reader or one of its messages. That may be a failover or not, which
// Page.Lives tells.
func mixesEpochs(q *pubsub.Query, page *pubsub.Page) bool {
	if q.Epoch != 0 && q.Epoch != page.Epoch {
		return true
	}
	return slices.ContainsFunc(page.Messages, func(m *pubsub.Message) bool { return m.ID.Epoch != page.Epoch && !m.IsUnreadable() })
}

// historySeenBy asks the primaries in the eyes of p. What cannot be found out is
// left out, so that a loss is told rather than not.
func (b *Broker) historySeenBy(ctx context.Context, p *primary) (l pubsub.EpochHistory) {
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout/2) // the page is there, whoever hangs
	defer cancel()
	primaries := []*primary{p}
	if b.sharded() {
		primaries = b.seenBy(ctx, p)
	}
	var mu sync.Mutex
	var all []runStart
	var asked sync.WaitGroup
	for _, other := range primaries {
		asked.Go(func() {
			history, err := b.historyOf(ctx, other)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if other == p {
				l.Same, l.Whole = history.same, history.whole
			} else {
				l.Others = append(l.Others, history.same...)
			}
			all = append(all, history.began...)
		})
	}
	asked.Wait()
	for _, one := range all { // now that each knows of all
		l.Starts = append(l.Starts, pubsub.EpochStart{At: one.at, Known: one.known, Epochs: b.history.epochsOf(one.run)})
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
