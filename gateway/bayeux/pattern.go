package bayeux

import (
	"slices"
	"strings"

	"comet/pubsub"
)

// A subscription to a pattern follows the index logs of the pattern (pubsub.Index), with a
// cursor for each; one to a channel follows one log.

// logsOf returns the logs of a channel or pattern. The error is an *pubsub.InvalidError.
func (s *Server) logsOf(channel string) ([]string, error) {
	if !pubsub.IsPattern(channel) {
		return []string{channel}, pubsub.ValidateChannel(channel)
	}
	pattern, err := s.options.Hub.Pattern(channel)
	if err != nil {
		return nil, err
	}
	return pattern.Logs, nil
}

// place is a log of a subscription.
type place struct {
	channel string // or pattern
	log     int    // its index in the logs of the pattern
}

// starts returns where the subscriptions of a session begin, in each of their logs, and the
// place of each. Every message comes once, also if several subscriptions match it.
func (s *Server) starts(st *state) (starts []pubsub.Start, places []place, err error) {
	var channels []string
	for i := range st.channels {
		if !pubsub.IsPattern(st.channels[i].channel) {
			channels = append(channels, st.channels[i].channel)
		}
	}
	var before []*pubsub.Pattern
	for i := range st.channels {
		u := &st.channels[i]
		logs, filter := []string{u.channel}, (*pubsub.Filter)(nil)
		if pubsub.IsPattern(u.channel) {
			pattern, err := s.options.Hub.Pattern(u.channel)
			if err != nil {
				return nil, nil, err
			}
			logs = pattern.Logs
			filter = &pubsub.Filter{Pattern: pattern, Except: slices.Clip(channels), ExceptPatterns: slices.Clip(before)}
			if base, ok := strings.CutSuffix(u.channel, "/**"); ok { // which Bayeux does not match
				filter.Except = append(filter.Except, base)
			}
			before = append(before, pattern)
		}
		if len(u.acked) != len(logs) { // the rule has changed: a gap tells the client
			u.acked = slices.Repeat([]pubsub.Cursor{pubsub.LostCursor()}, len(logs))
		}
		for j, log := range logs {
			starts = append(starts, pubsub.Start{Channel: log, From: pubsub.From{Cursor: &u.acked[j]}, Filter: filter})
			places = append(places, place{u.channel, j})
		}
	}
	return starts, places, nil
}
