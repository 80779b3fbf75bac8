package cluster

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"comet/pubsub"
)

// Interval is how often a node says how it is, unless Options say otherwise. It
// is gone when it has not for LifetimeIntervals intervals.
const (
	Interval          = 2 * time.Second
	LifetimeIntervals = 3
)

// Broker is what of a pubsub.Broker a Heartbeat needs.
type Broker interface {
	pubsub.NodeRegistry
	Publish(ctx context.Context, drafts []pubsub.Draft) []pubsub.Receipt
}

// Counts is what a node counts, at a moment. Totals are since its start; nil is
// not known.
type Counts struct {
	Ready    bool
	Reasons  []string
	Draining bool

	Connections Connections
	Deliveries  int64
	Publishes   int64
	Bytes       *int64 // written to clients

	RelayDelay, ProbeAge *time.Duration
}

// Options of a Heartbeat. Fields without a default must be set.
type Options struct {
	Broker Broker
	Hub    *pubsub.Hub
	About  Identity
	Count  func() Counts // cheap; for one goroutine at a time

	Interval time.Duration // default: Interval
	Logger   *slog.Logger  // default: none
}

// Heartbeat says how its node is, and serves what all nodes say.
type Heartbeat struct {
	options Options

	// Owned by Run.
	last     snapshot
	warned   bool
	channels []byte // what was last said of channels, while somebody asks; else nil
}

// snapshot is what rates are measured from.
type snapshot struct {
	at time.Time
	Counts
	usage
}

// New makes a Heartbeat, which beats when it is run.
func New(o Options) *Heartbeat {
	if o.Interval == 0 {
		o.Interval = Interval
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Heartbeat{options: o}
}

// Run beats until ctx ends, and then says that the node has left. It waits for
// the broker where it must, so that ends some time after ctx.
func (h *Heartbeat) Run(ctx context.Context) {
	h.last = h.snapshot()
	tick := time.NewTicker(h.options.Interval)
	defer tick.Stop()
	for {
		h.send(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			h.leave(context.WithoutCancel(ctx))
			return
		}
	}
}

func (h *Heartbeat) snapshot() snapshot { return snapshot{time.Now(), h.options.Count(), readUsage()} }

// send says how the node is. A failed heartbeat is not repeated before the next one.
func (h *Heartbeat) send(ctx context.Context) {
	now := h.snapshot()
	report, err := json.Marshal(h.report(&now))
	if err != nil {
		h.options.Logger.ErrorContext(ctx, "node report not encoded", "error", err)
		return
	}
	h.last = now
	err = h.announce(ctx, report)
	if err == nil {
		err = h.publish(ctx, TypeReport, report)
	}
	h.complain(ctx, err)
}

// announce puts the report on the board, and channels as long as somebody asks:
// at once where that has just begun.
func (h *Heartbeat) announce(ctx context.Context, report []byte) error {
	said := h.channels != nil
	if said {
		h.channels = h.encodeChannels()
	}
	r := pubsub.NodeReport{Node: h.options.About.ID, Report: report, Channels: h.channels}
	asked, err := h.options.Broker.Announce(ctx, r, LifetimeIntervals*h.options.Interval)
	switch {
	case err != nil:
		return err
	case !asked:
		h.channels = nil
	case !said:
		h.channels = h.encodeChannels()
		r.Channels = h.channels
		_, err = h.options.Broker.Announce(ctx, r, LifetimeIntervals*h.options.Interval)
	}
	return err
}

// publish sends a message to Channel, which keeps it for later subscribers.
func (h *Heartbeat) publish(ctx context.Context, kind string, data []byte) error {
	return h.options.Broker.Publish(ctx, []pubsub.Draft{{Channel: Channel, Type: kind, Data: data}})[0].Err
}

// leaveTime is for the word of leaving. Without it the node is gone a little later.
const leaveTime = 2 * time.Second

func (h *Heartbeat) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	err := h.options.Broker.Withdraw(ctx, h.options.About.ID)
	if data, _ := json.Marshal(Left{h.options.About.ID}); err == nil {
		err = h.publish(ctx, TypeLeft, data)
	}
	h.complain(ctx, err)
}

// complain logs the first of several errors in a row.
func (h *Heartbeat) complain(ctx context.Context, err error) {
	if err != nil && !h.warned && ctx.Err() == nil {
		h.options.Logger.WarnContext(ctx, "heartbeat failed; retrying", "error", err)
	}
	h.warned = err != nil
}

// report is what there is to say now.
func (h *Heartbeat) report(now *snapshot) *Report {
	since := now.at.Sub(h.last.at).Seconds()
	measured := now.at.Sub(h.last.at) >= h.options.Interval/2 // not at the first beat
	rate := func(total, before int64) Rate {
		r := Rate{Total: total}
		if measured {
			r.PerSecond = float64(total-before) / since
		}
		return r
	}
	_, channels := h.options.Hub.Busiest(0, isPublic)
	r := &Report{
		Identity: h.options.About, Time: now.at.UTC().Truncate(time.Millisecond),
		Ready: now.Ready, Reasons: now.Reasons, Draining: now.Draining,
		Connections:  now.Connections,
		Channels:     channels,
		Deliveries:   rate(now.Deliveries, h.last.Deliveries),
		Publishes:    rate(now.Publishes, h.last.Publishes),
		RSS:          now.rss,
		Heap:         now.heap,
		Goroutines:   now.goroutines,
		RelayDelayMS: milliseconds(now.RelayDelay),
		ProbeAgeMS:   milliseconds(now.ProbeAge),
	}
	if now.Bytes != nil && h.last.Bytes != nil {
		bytes := rate(*now.Bytes, *h.last.Bytes)
		r.Bytes = &bytes
	}
	if now.cpu > 0 && measured {
		percent := 100 * (now.cpu - h.last.cpu).Seconds() / since
		r.CPUPercent = &percent
	}
	return r
}

func milliseconds(d *time.Duration) *float64 {
	if d == nil {
		return nil
	}
	ms := float64(d.Microseconds()) / 1000
	return &ms
}
