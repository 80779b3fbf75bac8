package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// Read implements pubsub.Broker. The queries to a primary share one pipeline.
func (b *Broker) Read(ctx context.Context, queries []pubsub.Query) []pubsub.Page {
	ctx, end, err := b.startCall(ctx)
	if err != nil {
		pages := make([]pubsub.Page, len(queries))
		for i := range pages {
			pages[i].Err = err
		}
		return pages
	}
	defer end()
	a := newAnswers(len(queries))
	b.reading.Go(func() {
		defer close(a.done)
		b.eachPrimary(ctx, len(queries), func(i int) string { return queries[i].Channel },
			a.fail,
			func(p *primary, at []int) {
				pages := make([]pubsub.Page, len(queries))
				b.readGroup(ctx, p, queries, at, pages)
				a.put(at, pages)
			})
	})
	pages := a.wait(ctx)
	for i := range pages {
		b.errorCounts.count(ToRead, pages[i].Err)
	}
	return pages
}

// Shard implements pubsub.Broker.
func (b *Broker) Shard(channel string) any {
	p, err := b.topology.of(ended, b.keys.live(channel))
	if err != nil {
		return nil
	}
	return p
}

// ended is a context that has ended, for calls that must not wait.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// readGroup answers the queries at the given indices, of logs that p has.
func (b *Broker) readGroup(ctx context.Context, p *primary, queries []pubsub.Query, at []int, pages []pubsub.Page) {
	cmds := b.readAll(ctx, p, queries, at)
	if len(cmds) > 0 && notLoaded(cmds[0].Err()) {
		if err := readScript.Load(ctx, p.client).Err(); err == nil {
			cmds = b.readAll(ctx, p, queries, at)
		}
	}
	mixed := make(map[*primary][]int) // indices of the pages that need Epochs, by primary that answered
	for n, cmd := range cmds {
		i, by := at[n], p
		if kind, _ := redirected(cmd.Err()); kind != none || notLoaded(cmd.Err()) { // see holdGroup
			cmd, by = b.readOne(ctx, &queries[i])
		}
		pages[i] = b.page(&queries[i], cmd)
		if pages[i].Err == nil && (mixesEpochs(&queries[i], &pages[i]) || !b.history.knows(pages[i].Epoch)) {
			mixed[by] = append(mixed[by], i)
		}
	}
	for by, at := range mixed {
		history := b.historySeenBy(ctx, by)
		for _, i := range at {
			pages[i].Epochs = history
			if err := b.checkEpoch(ctx, by, &queries[i], &pages[i]); err != nil {
				pages[i] = pubsub.Page{Err: err}
			}
		}
	}
}

func (b *Broker) readAll(ctx context.Context, p *primary, queries []pubsub.Query, at []int) []*redis.Cmd {
	return readScript.evaluateAll(ctx, p.client, len(at), false, func(n int) ([]string, []any) { return b.readArgs(&queries[at[n]]) })
}

// readOne answers one query. It follows redirects and loads the script, and also returns
// the primary that answered.
func (b *Broker) readOne(ctx context.Context, q *pubsub.Query) (*redis.Cmd, *primary) {
	keys, args := b.readArgs(q)
	return b.callScript(ctx, readScript, keys, args)
}

// readArgs returns the KEYS and ARGV of read.lua.
func (b *Broker) readArgs(q *pubsub.Query) (keys []string, args []any) {
	direction := "forward"
	if q.Backward {
		direction = "backward"
	}
	args = []any{direction, q.Cursor.String(), q.Limit, q.MaxBytes()}
	if !b.sharded() {
		args = append(args, b.keys.since())
	}
	return []string{b.keys.log(q.Channel)}, args
}

// page decodes an answer of read.lua.
func (b *Broker) page(q *pubsub.Query, cmd *redis.Cmd) pubsub.Page {
	if err := cmd.Err(); err != nil {
		return pubsub.Page{Err: readError(err)}
	}
	if epoch, ok := cmd.Val().(int64); ok {
		return pubsub.Page{Epoch: pubsub.Epoch(epoch), End: q.Cursor}
	}
	answer, _ := cmd.Val().([]any)
	if len(answer) != 4+3 {
		return pubsub.Page{Err: readError(fmt.Errorf("read.lua answered %v", cmd.Val()))}
	}
	epoch, _ := answer[0].(int64)
	text, _ := answer[1].(string)
	end, err := parseEntryID(text)
	if err != nil {
		return pubsub.Page{Err: readError(fmt.Errorf("read.lua answered %v", cmd.Val()))}
	}
	entries, _ := answer[2].([]any)
	p := pubsub.Page{Epoch: pubsub.Epoch(epoch), End: end, Messages: b.messages(q, entries)}
	p.More = answer[3] == int64(1) && len(p.Messages) > 0
	now, _ := answer[4].(int64)
	since, _ := answer[5].(string)
	past, _ := answer[6].(string)
	p.Now = uint64(now)
	p.IntactSince, _ = pubsub.ParseID(since) // zero if it is unknown
	p.PreviousEnd, _ = pubsub.ParseID(past)  // likewise
	_, p.TTL = b.options.Retention(q.Channel)
	return p
}

// messages decodes the entries of a log. An entry that is not beyond the cursor is left
// out: parseEntryID may have changed its ID.
func (b *Broker) messages(q *pubsub.Query, entries []any) []*pubsub.Message {
	all := make([]*pubsub.Message, 0, len(entries))
	for _, entry := range entries {
		m, err := decodeEntry(q.Channel, entry)
		if err != nil {
			b.foreign.found(InLog, q.Channel, err)
		}
		if m != nil && isBeyond(q, m.ID) {
			all = append(all, m)
		}
	}
	return all
}

func isBeyond(q *pubsub.Query, id pubsub.ID) bool {
	if q.Backward {
		return q.Cursor.IsZero() || id.Compare(q.Cursor) < 0
	}
	return id.Compare(q.Cursor) > 0
}

// answers collects the pages of a Read, which come from several primaries. Read returns
// them when all have come or its context ends; a connection that waits for Redis does
// not notice the latter.
type answers struct {
	done chan struct{} // closed when all have come

	mu    sync.Mutex
	over  bool // wait has returned pages
	pages []pubsub.Page
}

func newAnswers(n int) *answers {
	return &answers{done: make(chan struct{}), pages: make([]pubsub.Page, n)}
}

// fail sets the error of page i.
func (a *answers) fail(i int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.over {
		a.pages[i].Err = readError(err)
	}
}

// put sets the pages at the given indices.
func (a *answers) put(at []int, pages []pubsub.Page) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	for _, i := range at {
		a.pages[i] = pages[i]
	}
}

// lateAnswers is how long wait goes on after the deadline of its context. Connections
// end at the same deadline, and then return their answers or a better error.
const lateAnswers = 100 * time.Millisecond

// wait returns the pages. Those that have not come have the error of ctx.
func (a *answers) wait(ctx context.Context) []pubsub.Page {
	select {
	case <-a.done:
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			late := time.NewTimer(lateAnswers)
			defer late.Stop()
			select {
			case <-a.done:
			case <-late.C:
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	for i := range a.pages {
		if p := &a.pages[i]; p.Epoch == 0 && p.Err == nil {
			p.Err = readError(context.Cause(ctx))
		}
	}
	return a.pages
}
