package main

import (
	"fmt"
	"log/slog"
	"strings"

	"comet/config"
	"comet/gateway/auth"
	"comet/pubsub"
)

// newPresence is the presence of a node over b; nil if no rule asks for it.
func newPresence(s *config.Settings, b pubsub.Broker, logger *slog.Logger) (*pubsub.Presence, error) {
	has, err := presenceRules(s.Channels)
	if has == nil || err != nil {
		return nil, err
	}
	return pubsub.NewPresence(b, pubsub.PresenceOptions{
		Has:     has,
		TTL:     s.Presence.TTL,
		Members: s.Presence.Members,
		Timeout: s.Redis.Timeout,
		Logger:  logger,
	}), nil
}

// presenceRules says which channels have presence; nil: none has. The nodes'
// own have none.
func presenceRules(rules []config.ChannelRule) (has func(channel string) bool, err error) {
	patterns := make([]auth.Patterns, len(rules))
	some := false
	for i, rule := range rules {
		if patterns[i], err = auth.ParsePatterns([]string{rule.Match}); err != nil {
			return nil, fmt.Errorf("channels: rule %d: match: %w", i+1, err)
		}
		some = some || rule.Presence
	}
	if !some {
		return nil, nil
	}
	return func(channel string) bool {
		if strings.HasPrefix(channel, pubsub.ControlPrefix) {
			return false
		}
		for i, rule := range rules {
			if patterns[i].Match(channel) {
				return rule.Presence
			}
		}
		return false
	}, nil
}

func closePresence(p *pubsub.Presence) {
	if p != nil {
		p.Close()
	}
}

// both calls each of what is to be told of a channel.
func both(first, second func(channel string)) func(channel string) {
	if first == nil {
		return second
	}
	return func(channel string) {
		first(channel)
		second(channel)
	}
}
