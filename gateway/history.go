package gateway

import (
	"context"
	"net/http"
	"slices"

	"comet/gateway/conn"
	"comet/gateway/hook"
	"comet/gateway/wire"
	"comet/pubsub"
)

// defaultHistory is the default of limit: messages on a page.
const defaultHistory = 100

// getHistory: GET /v1/channels/{channel}/messages
func getHistory(g *Gateway, w http.ResponseWriter, r *http.Request, rc *requestContext) error {
	channel, p, err := channelToRead(g, r, rc, validChannelOrPattern(g.options.Hub), rc.MayReadHistory)
	if err != nil {
		return err
	}
	limit := p.integer("limit", defaultHistory, 1, pubsub.MaxPage)
	order := p.choice("order", "asc", "desc")
	after, before := p.id("after"), p.id("before")
	if p.Has("after") && p.Has("before") {
		p.fail("after", "cannot go with before: page in one direction.")
	}
	if p.err != nil {
		return p.err
	}
	// Without after and before, order says at which end to begin.
	q := pubsub.Query{Channel: channel, Cursor: after}
	if p.Has("before") || order == "desc" && !p.Has("after") {
		q.Cursor, q.Backward = before, true
	}
	ctx := r.Context()
	var replay *conn.Replay // nil for operators, who are not limited
	if !rc.Operator {
		if ctx, replay, err = g.options.Replays.Begin(ctx, rc.Client.Address); err != nil {
			return err
		}
		defer replay.End()
	}
	h, size, err := readHistoryOf(ctx, g.options.Hub, q, limit, replay)
	switch {
	case err != nil && context.Cause(ctx) == conn.Slow: // others wait, and Redis does not answer
		return conn.ErrTooManyReplays
	case err != nil:
		return err
	}
	if q.Backward != (order == "desc") {
		slices.Reverse(h.Messages)
	}
	body := append(h.AppendJSON(make([]byte, 0, size+historyEnvelope*(1+len(h.Messages)))), '\n')
	h.Messages = nil // only body is held while the client reads
	beginAnswer(w, http.StatusOK, "application/json", len(body))
	_ = replay.WriteAnswer(ctx, w, body)
	return nil
}

// historyEnvelope is about the size of a message without its data, in bytes.
const historyEnvelope = 256

// A page of history is read in pieces of historyPiece messages, and ends early at
// historyBytes of data. It takes a share of limits.replay_memory for each
// conn.ReplayPage, as clients that replay do, and ends early if none is free.
const (
	historyPiece = 100
	historyBytes = 4 << 20
)

// readHistory reads up to limit messages, starting with q, but at least one if
// there is one. size is the size of their data.
func readHistory(ctx context.Context, hub *pubsub.Hub, q pubsub.Query, limit int, replay *conn.Replay) (h wire.History, size int, err error) {
	for most := conn.ReplayPage; ; {
		q.Limit = min(historyPiece, limit-len(h.Messages)+1) // one more, to know whether there is one
		page, err := hub.Read(ctx, q)
		if err != nil {
			return h, size, err
		}
		replay.Progress()
		for _, m := range page.Messages {
			if m.IsUnreadable() {
				q.Cursor = m.ID
				continue
			}
			for len(h.Messages) < limit && size+len(m.Data) > most && most < historyBytes && replay.Grow() {
				most += conn.ReplayPage
			}
			if len(h.Messages) == limit || size+len(m.Data) > most && len(h.Messages) > 0 {
				h.More = true
				return h, size, nil
			}
			size += len(m.Data)
			h.Messages = append(h.Messages, m)
			q.Cursor = m.ID
		}
		if !page.More {
			return h, size, nil
		}
	}
}

// readHistoryOf is readHistory for a channel or a pattern.
func readHistoryOf(ctx context.Context, hub *pubsub.Hub, q pubsub.Query, limit int, replay *conn.Replay) (h wire.History, size int, err error) {
	if !pubsub.IsPattern(q.Channel) {
		return readHistory(ctx, hub, q, limit, replay)
	}
	pattern, err := hub.Pattern(q.Channel)
	if err != nil {
		return h, 0, err
	}
	return readPatternHistory(ctx, hub, pattern, q, limit, replay)
}

// channelToRead returns the channel in the path and the parameters of a request
// that reads what is kept of the channel, if may and the hook allow it. The hook
// is asked about subscribing.
func channelToRead(g *Gateway, r *http.Request, rc *requestContext, valid, may func(channel string) error) (string, *parameters, error) {
	channel, err := pathChannel(r)
	if err == nil {
		err = valid(channel)
	}
	if err != nil {
		return "", nil, err
	}
	if err := may(channel); err != nil {
		return "", nil, err
	}
	if err := g.admission.AskHook(r.Context(), &rc.Caller, hook.Subscribe, channel); err != nil {
		return "", nil, err
	}
	p, err := parametersOf(r)
	return channel, p, err
}
