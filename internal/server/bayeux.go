package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"comet/config"
	"comet/gateway"
	"comet/gateway/bayeux"
	"comet/gateway/conn"
	"comet/pubsub"
)

// newBayeux mounts the Bayeux protocol at g, if it is enabled; else it returns nil.
func newBayeux(s *config.Settings, rules *channelRules, tracer gateway.Tracer, g *gateway.Gateway, hub *pubsub.Hub, b pubsub.Broker, holder *conn.Parker, logger *slog.Logger) (*bayeux.Server, error) {
	if !s.Bayeux.Enabled {
		return nil, nil
	}
	records, ok := b.(pubsub.RecordStore)
	if !ok {
		return nil, errors.New("bayeux.enabled: the broker keeps no records")
	}
	o := bayeux.Options{
		Admission: g.Admission(), Hub: hub, Records: records, Holder: holder, Logger: logger,
		Prefix: s.Bayeux.Prefix, Timeout: s.Bayeux.Timeout, Interval: s.Bayeux.Interval, MaxInterval: s.Bayeux.MaxInterval,
		Fast: g.FastPolicy, Refused: g.CountRefused, Senders: rules.senders,
		Limits: func() bayeux.Limits {
			l := g.Policy().Limits
			return bayeux.Limits{Body: l.BatchBytes(), Batch: l.Batch, Message: l.Message, Channels: l.Channels, Wait: l.Wait}
		},
		Explain: func(err error) bayeux.Explanation {
			status, detail, retry := g.Explain(err)
			return bayeux.Explanation{Status: status, Detail: detail, Retry: time.Duration(retry) * time.Second}
		},
	}
	if tracer != nil {
		o.Span = spanOf(tracer)
	}
	protocol := bayeux.New(o)
	g.Mount(s.Bayeux.Path, protocol.Serve)
	return protocol, nil
}

// spanOf returns bayeux.Options.Span with the spans of a tracer.
func spanOf(tracer gateway.Tracer) func(context.Context) (string, func([]pubsub.Draft, []pubsub.Receipt)) {
	return func(ctx context.Context) (string, func([]pubsub.Draft, []pubsub.Receipt)) {
		span := tracer.Publish(ctx)
		return span.Carry(), func(drafts []pubsub.Draft, receipts []pubsub.Receipt) {
			p := gateway.Published{Messages: len(drafts), Outcome: "batch"}
			if len(drafts) == 1 {
				p.Channel, p.Outcome = drafts[0].Channel, "published"
			}
			for i := range drafts {
				p.Bytes += len(drafts[i].Data)
				switch {
				case receipts[i].Err != nil:
					p.Outcome, p.Failed = "unavailable", true
				case receipts[i].Duplicate && len(drafts) == 1:
					p.Outcome = "duplicate"
				}
			}
			span.End(p)
		}
	}
}
