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

// epochHistory remembers which epochs belong to the same run of a primary. A run is
// the time from a start or a takeover of a process to the next; nothing is lost within
// it. Redis draws a new replication ID, and so begins an epoch, also when a primary
// gets its first replica since it started, and when it has had none for
// repl-backlog-ttl. The run_id stays the same then, and so does master_replid2, which
// a takeover changes. Asking for both in publish.lua would cost 9 µs per call.
type epochHistory struct {
	mu        sync.Mutex
	runs      map[pubsub.Epoch]run
	firstSeen map[string]time.Time // when this node first saw a run, by its name in epoch_history.lua
}

// run is a run of a primary: its run_id and master_replid2.
type run struct{ process, before string }

// maxEpochs is the maximum number of epochs that are remembered. A change from one
// that was forgotten is reported as a failover.
const maxEpochs = 256

func (h *epochHistory) knows(epoch pubsub.Epoch) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, known := h.runs[epoch]
	return known
}

// firstSeenAt returns when this node first saw the run with this name.
func (h *epochHistory) firstSeenAt(name string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, known := h.firstSeen[name]
	if !known {
		if len(h.firstSeen) >= 16*maxEpochs || h.firstSeen == nil { // a forgotten run counts as new
			h.firstSeen = make(map[string]time.Time)
		}
		at = time.Now()
		h.firstSeen[name] = at
	}
	return at
}

// epochsOf returns the epochs of the run with this name in epoch_history.lua.
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

// learn records that the epochs some belong to the run now, and returns all known epochs
// of that run.
func (h *epochHistory) learn(some []pubsub.Epoch, now run) (same []pubsub.Epoch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs == nil || len(h.runs) >= maxEpochs {
		h.runs = make(map[pubsub.Epoch]run)
	}
	for _, epoch := range some {
		h.runs[epoch] = now
	}
	// A process does not return to an earlier run.
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

// historyTTL is how long Redis keeps the starts of runs if no node asks for them, as
// while no node starts and no slot moves.
const historyTTL = 90 * 24 * time.Hour

// runStart is the start of a run, see pubsub.EpochStart.
type runStart struct {
	run       string // its name in epoch_history.lua
	at, known time.Time
}

// primaryHistory is the answer of epoch_history.lua at a primary.
type primaryHistory struct {
	same  []pubsub.Epoch // the epochs of its run, as far as nodes saw them
	whole []pubsub.Epoch // the epochs from which it took over with everything acknowledged
	began []runStart
}

// historyOf asks p for its epoch history.
func (b *Broker) historyOf(ctx context.Context, p *primary) (l primaryHistory, err error) {
	args := append([]any{historyTTL.Milliseconds(), maxEpochs}, b.replicas.args()...)
	cmd := historyScript.evaluate(ctx, p.client, b.historyKey(ctx, p), args)
	if kind, _ := redirected(cmd.Err()); kind != none { // its slot is being moved
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
	if len(process) < runIDLen { // some providers hide it; each epoch counts as a run then
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

// decodeEpochs decodes a list in the answer of epoch_history.lua.
func decodeEpochs(answer any) []pubsub.Epoch {
	list, _ := answer.([]any)
	all := make([]pubsub.Epoch, len(list))
	for i := range list {
		epoch, _ := list[i].(int64)
		all[i] = pubsub.Epoch(epoch)
	}
	return all
}

// manySlots is how many keys are tried to find one in a slot of a primary. With a
// single slot one is found with a probability of 0.998.
const manySlots = 100_000

// historyKey returns the KEYS of epoch_history.lua for p. All nodes use the same key as
// long as the slots of p stay the same.
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

// mixesEpochs reports whether the epoch of a page differs from that of its reader or of
// one of its messages. Page.Epochs shows whether that is a failover.
func mixesEpochs(q *pubsub.Query, page *pubsub.Page) bool {
	if q.Epoch != 0 && q.Epoch != page.Epoch {
		return true
	}
	return slices.ContainsFunc(page.Messages, func(m *pubsub.Message) bool { return m.ID.Epoch != page.Epoch && !m.IsUnreadable() })
}

// historySeenBy returns the epoch history of the primaries in the view of p. A primary
// that does not answer is left out, so that a possible loss is reported.
func (b *Broker) historySeenBy(ctx context.Context, p *primary) (l pubsub.EpochHistory) {
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout/2) // the page must not wait for a primary that hangs
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
	for _, one := range all { // after each primary has added its runs
		l.Starts = append(l.Starts, pubsub.EpochStart{At: one.at, Known: one.known, Epochs: b.history.epochsOf(one.run)})
	}
	if len(l.Same) == 0 {
		l.Others = nil // the age of p's own run is unknown
	}
	return l
}

// seenBy returns the primaries in the view of p. A primary that was replaced is not one
// in the view of others, but may be in its own while it is cut off.
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
