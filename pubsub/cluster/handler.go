package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"comet/pubsub"
)

// NodeList is the answer of GET /v1/nodes.
type NodeList struct {
	Nodes      []json.RawMessage `json:"nodes"`       // a Report each, by ID, as its node wrote it
	IntervalMS int64             `json:"interval_ms"` // how often they say it
	LifetimeMS int64             `json:"lifetime_ms"` // of one that says nothing more
}

// ServeNodes is GET /v1/nodes: what every node has said last.
func (h *Heartbeat) ServeNodes(w http.ResponseWriter, r *http.Request) {
	all, err := h.options.Broker.Nodes(r.Context(), false)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	answer := NodeList{
		Nodes:      []json.RawMessage{},
		IntervalMS: h.options.Interval.Milliseconds(),
		LifetimeMS: (LifetimeIntervals * h.options.Interval).Milliseconds(),
	}
	for _, n := range all {
		if _, err := ParseReport(n.Report); err != nil {
			h.options.Logger.WarnContext(r.Context(), "node report invalid; left out", "node", n.Node, "error", err)
			continue
		}
		answer.Nodes = append(answer.Nodes, n.Report)
	}
	answerJSON(w, answer)
}

// Limits of GET /v1/channels.
const (
	defaultChannels = 50
	maxChannels     = 1000
)

// ServeChannels is GET /v1/channels?prefix=&limit=: the busiest channels over
// all nodes. The first one who asks waits for the nodes' next heartbeat.
func (h *Heartbeat) ServeChannels(w http.ResponseWriter, r *http.Request) {
	limit := defaultChannels
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxChannels {
			http.Error(w, "limit must be a number from 1 to "+strconv.Itoa(maxChannels), http.StatusBadRequest)
			return
		}
		limit = n
	}
	all, silent, err := h.channelReports(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	answer := sumChannels(all, r.URL.Query().Get("prefix"), limit)
	answer.Silent = silent
	answer.Complete = answer.Complete && len(silent) == 0
	answerJSON(w, answer)
}

// look is the interval between two reads of the registry while nodes have not reported.
const look = 100 * time.Millisecond

// reports on channels asks all nodes for their channels, and waits for the first answer of
// each, for some more than an interval. Of this node it takes what is true now,
// all of it.
func (h *Heartbeat) channelReports(ctx context.Context) (all []channelReport, silent []string, err error) {
	late := time.NewTimer(h.options.Interval + time.Second)
	defer late.Stop()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for waited := false; ; {
		reports, err := h.options.Broker.Nodes(ctx, true)
		if err != nil {
			return nil, nil, err
		}
		if all, silent = h.readChannelReports(ctx, reports); len(silent) == 0 || waited {
			return all, silent, nil
		}
		select {
		case <-tick.C:
		case <-late.C:
			waited = true
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

func (h *Heartbeat) readChannelReports(ctx context.Context, reports []pubsub.NodeReport) (all []channelReport, silent []string) {
	here, _ := h.options.Hub.Busiest(maxOwn, isPublic)
	all = append(all, channelReport{Complete: len(here) < maxOwn, Channels: here})
	for _, r := range reports {
		switch {
		case r.Node == h.options.About.ID:
		case r.Channels == nil:
			silent = append(silent, r.Node)
		default:
			c, err := parseChannelReport(r.Channels)
			if err != nil {
				h.options.Logger.WarnContext(ctx, "node report invalid; left out", "node", r.Node, "error", err)
				silent = append(silent, r.Node)
				continue
			}
			all = append(all, c)
		}
	}
	return all, silent
}

// maxOwn is how many channels of its own a node looks at.
const maxOwn = 100_000

// fail answers that the broker does not.
func (h *Heartbeat) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client has gone
	}
	h.options.Logger.WarnContext(r.Context(), "request failed", "path", r.URL.Path, "error", err)
	text := "The node registry cannot be read. Try again soon."
	if errors.Is(err, pubsub.ErrUnavailable) {
		text = "Redis does not answer, so this node cannot list the others. Try again soon."
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, text, http.StatusServiceUnavailable)
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(v) // an error means that the client has gone
}
