package gateway

import (
	"context"

	"comet/gateway/conn"
	"comet/gateway/wire"
	"comet/pubsub"
)

// logPart is the next messages of one index log, in the direction of the page.
type logPart struct {
	query    pubsub.Query
	messages []*pubsub.Message // of the pattern
	more     bool              // the log has to be read again
}

// scanBytes bounds the data of index logs that is looked at for one page of history, of
// all channels of the rule together. A page that reaches it ends early, with "more".
const scanBytes = 4 * historyBytes

// readPatternHistory is readHistory for a pattern: it merges the index logs by the IDs of
// their messages. In different channels these may be equal, and then they are not
// separated: after the last one the next page begins.
func readPatternHistory(ctx context.Context, hub *pubsub.Hub, p *pubsub.Pattern, q pubsub.Query, limit int, replay *conn.Replay) (h wire.History, size int, err error) {
	parts := make([]logPart, len(p.Logs))
	for i, log := range p.Logs {
		parts[i] = logPart{query: q, more: true}
		parts[i].query.Channel = log
		parts[i].query.Limit = historyPiece
		parts[i].query.Bytes = conn.ReplayPage / len(p.Logs)
	}
	scanned := 0
	for most := conn.ReplayPage; ; {
		for i := range parts {
			n, err := parts[i].fill(ctx, hub, p)
			if err != nil {
				return h, size, err
			}
			scanned += n
			replay.Progress()
		}
		group := nextGroup(parts, q.Backward)
		bytes := dataBytes(group)
		for len(h.Messages) < limit && size+bytes > most && most < historyBytes && replay.Grow() {
			most += conn.ReplayPage
		}
		switch full := len(h.Messages)+len(group) > limit || size+bytes > most || scanned > scanBytes; {
		case len(group) == 0:
			return h, size, nil
		case full && len(h.Messages) > 0:
			h.More = true
			return h, size, nil
		}
		h.Messages, size = append(h.Messages, group...), size+bytes
	}
}

// fill reads the log until it has a message of the pattern, or has ended. It returns how
// many bytes of data it has looked at.
func (l *logPart) fill(ctx context.Context, hub *pubsub.Hub, p *pubsub.Pattern) (scanned int, err error) {
	for len(l.messages) == 0 && l.more {
		page, err := hub.Read(ctx, l.query)
		if err != nil {
			return scanned, err
		}
		for _, m := range page.Messages {
			scanned += len(m.Data)
			l.query.Cursor = m.ID
			if !m.IsUnreadable() && p.Match(m.Channel) {
				l.messages = append(l.messages, m)
			}
		}
		l.more = page.More
	}
	return scanned, nil
}

// nextGroup removes and returns the next messages of all parts: those with the next ID.
func nextGroup(parts []logPart, backward bool) (group []*pubsub.Message) {
	for i := range parts {
		if len(parts[i].messages) == 0 {
			continue
		}
		order := -1
		if len(group) > 0 {
			order = parts[i].messages[0].ID.Compare(group[0].ID)
		}
		switch {
		case order == 0:
			group = append(group, parts[i].messages[0])
		case len(group) == 0 || (order < 0) != backward:
			group = append(group[:0], parts[i].messages[0])
		}
	}
	for i := range parts {
		if len(group) > 0 && len(parts[i].messages) > 0 && parts[i].messages[0].ID == group[0].ID {
			parts[i].messages = parts[i].messages[1:]
		}
	}
	return group
}

func dataBytes(messages []*pubsub.Message) (n int) {
	for _, m := range messages {
		n += len(m.Data)
	}
	return n
}
