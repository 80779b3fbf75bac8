package server

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"comet/config"
	"comet/gateway/auth"
	"comet/pubsub"
)

// channelRules is what the settings channels and history say of each channel.
// Brokers and nodes ask them, many at once, and always the newest that were put.
type channelRules struct {
	newest atomic.Pointer[ruling]
	index  *pubsub.Index // of the rules with patterns, which do not change
}

// ruling is the rules of one reading of the settings.
type ruling struct {
	patterns auth.Patterns
	rules    []config.ChannelRule // of each pattern; nothing is left out
	rest     config.ChannelRule   // of channels that none matches
	own      config.ChannelRule   // of the nodes' own channels
	noFrom   bool                 // of a rule at least
}

func newChannelRules(s *config.Settings) (*channelRules, error) {
	first, err := newRuling(s)
	if err != nil {
		return nil, err
	}
	var indexed []pubsub.IndexRule
	for _, r := range s.Channels {
		if r.Patterns {
			indexed = append(indexed, pubsub.IndexRule{Match: r.Match, Logs: r.Index})
		}
	}
	c := new(channelRules)
	if c.index, err = pubsub.NewIndex(indexed); err != nil {
		return nil, fmt.Errorf("channels: %w", err)
	}
	c.put(first)
	return c, nil
}

func newRuling(s *config.Settings) (*ruling, error) {
	r := &ruling{
		patterns: make(auth.Patterns, len(s.Channels)),
		rules:    slices.Clone(s.Channels),
		rest:     config.ChannelRule{History: s.History},
		own:      config.ChannelRule{History: s.History},
	}
	// A revocation must be remembered for as long as a token lives that it covers.
	r.own.History.TTL = max(s.History.TTL, s.Auth.JWT.MaxAge+s.Auth.JWT.Leeway+time.Minute)
	for i := range r.rules {
		rule := &r.rules[i]
		var err error
		if r.patterns[i], err = auth.ParsePattern(rule.Match); err != nil {
			return nil, fmt.Errorf("channels: rule %d: match %w", i+1, err)
		}
		rule.History.Size = cmp.Or(rule.History.Size, s.History.Size)
		rule.History.TTL = cmp.Or(rule.History.TTL, s.History.TTL)
		r.noFrom = r.noFrom || rule.NoFrom
	}
	return r, nil
}

// put makes r the current rules.
func (c *channelRules) put(r *ruling) { c.newest.Store(r) }

// of returns the rule of a channel, or of an index log. The rules of the settings do not
// reach the nodes' own channels.
func (c *channelRules) of(channel string) *config.ChannelRule {
	r := c.newest.Load()
	if pubsub.IsIndexLog(channel) {
		return r.ofIndex(pubsub.IndexMatch(channel))
	}
	if strings.HasPrefix(channel, pubsub.ControlPrefix) {
		return &r.own
	}
	if i := r.patterns.First(channel); i >= 0 {
		return &r.rules[i]
	}
	return &r.rest
}

// ofIndex returns the rule with patterns for match.
func (r *ruling) ofIndex(match string) *config.ChannelRule {
	for i := range r.rules {
		if r.rules[i].Patterns && r.rules[i].Match == match {
			return &r.rules[i]
		}
	}
	return &r.rest
}

// retention is how much of the channel is kept, and for how long.
func (c *channelRules) retention(channel string) (size int, ttl time.Duration) {
	rule := c.of(channel)
	return rule.History.Size, rule.History.TTL
}

// presence reports whether it is kept who is in the channel.
func (c *channelRules) presence(channel string) bool { return c.of(channel).Presence }

// senders reports whether messages of the channel name their sender.
func (c *channelRules) senders(channel string) bool {
	return !c.newest.Load().noFrom || !c.of(channel).NoFrom // mostly without comparing patterns
}

// setRules has the node go by r.
func (n *node) setRules(r *ruling) {
	n.rules.put(r)
	n.presence.DropDisabled()
	n.hub.EachOpen(n.presence.ChannelOpened)
}
