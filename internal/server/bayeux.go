package server

import (
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
func newBayeux(s *config.Settings, rules *channelRules, g *gateway.Gateway, hub *pubsub.Hub, b pubsub.Broker, holder *conn.Parker, logger *slog.Logger) (*bayeux.Server, error) {
	if !s.Bayeux.Enabled {
		return nil, nil
	}
	records, ok := b.(pubsub.RecordStore)
	if !ok {
		return nil, errors.New("bayeux.enabled: the broker keeps no records")
	}
	protocol := bayeux.New(bayeux.Options{
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
	})
	g.Mount(s.Bayeux.Path, protocol.Serve)
	return protocol, nil
}
