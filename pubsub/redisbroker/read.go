package redisbroker

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// Read implements pubsub.Broker; all queries go in one pipeline.
func (b *Broker) Read(ctx context.Context, queries []pubsub.Query) []pubsub.Page {
	pages := make([]pubsub.Page, len(queries))
	ctx, end, err := b.begin(ctx)
	if err != nil {
		for i := range pages {
			pages[i].Err = err
		}
		return pages
	}
	defer end()
	cmds := b.readAll(ctx, queries)
	if len(notLoadedAt(cmds)) > 0 {
		if err := readScript.Load(ctx, b.client).Err(); err == nil {
			cmds = b.readAll(ctx, queries)
		}
	}
	for i, cmd := range cmds {
		pages[i] = page(queries[i].Channel, cmd.(*redis.Cmd))
	}
	return pages
}

func (b *Broker) readAll(ctx context.Context, queries []pubsub.Query) []redis.Cmder {
	p := b.client.Pipeline()
	for _, q := range queries {
		direction := "forward"
		if q.Backward {
			direction = "backward"
		}
		queue(ctx, p, readScript, []string{b.keys.log(q.Channel)}, []any{direction, q.Cursor.String(), q.Limit})
	}
	cmds, _ := p.Exec(ctx) // each command has its own error
	return cmds
}

// page reads the answer of read.lua.
func page(channel string, cmd *redis.Cmd) pubsub.Page {
	answer, err := cmd.Slice()
	if err != nil {
		return pubsub.Page{Err: readError(err)}
	}
	if len(answer) != 3 {
		return pubsub.Page{Err: readError(fmt.Errorf("read.lua answered %v", answer))}
	}
	gen, _ := answer[0].(int64)
	text, _ := answer[1].(string)
	end, err := pubsub.ParseID(text)
	if err != nil {
		return pubsub.Page{Err: fmt.Errorf("log of %q: entry %s: %w", channel, text, errForeign)}
	}
	entries, _ := answer[2].([]any)
	p := pubsub.Page{Gen: pubsub.Generation(gen), End: end, Messages: make([]*pubsub.Message, len(entries))}
	for i, entry := range entries {
		if p.Messages[i], err = decodeEntry(channel, entry); err != nil {
			return pubsub.Page{Err: fmt.Errorf("log of %q: %w", channel, err)}
		}
	}
	return p
}
