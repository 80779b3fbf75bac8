package pubsub

import (
	"fmt"
	"slices"
	"strings"

	"comet/internal/chanpattern"
)

// IndexRule says that the messages of some channels are also appended to index logs, so
// that subscribers can follow all these channels by a pattern.
type IndexRule struct {
	Match string // a pattern, see package chanpattern
	Logs  int    // 1 to MaxIndexLogs: the index logs that the channels are spread over
}

// MaxIndexLogs bounds IndexRule.Logs. A cursor of a pattern has a position in each.
const MaxIndexLogs = 64

// Index says which index log has the messages of a channel, and which index logs a pattern
// follows. All nodes must have the same rules. It never changes; a nil Index has no rules.
//
// An index log is a log like that of a channel, but its messages are of many channels. The
// broker appends a message to both in one step, with the same ID. Its name is no valid
// name of a channel. For pattern orders/**, with 16 logs:
//
//	{orders/**:16:0} to {orders/**:16:15}
//
// The name has the rule and the number of logs, so after a change of either the index
// begins again, under other names, and old cursors do not fit.
type Index struct {
	rules    []indexRule
	patterns chanpattern.Patterns // of rules
}

type indexRule struct {
	match chanpattern.Pattern
	logs  []string
}

// NewIndex makes an Index. For a channel that several rules match, the first one counts.
func NewIndex(rules []IndexRule) (*Index, error) {
	x := new(Index)
	for _, r := range rules {
		match, err := chanpattern.Parse(r.Match)
		if err != nil {
			return nil, fmt.Errorf("match %w", err)
		}
		if r.Logs < 1 || r.Logs > MaxIndexLogs {
			return nil, fmt.Errorf("index of %s must be 1 to %d", r.Match, MaxIndexLogs)
		}
		one := indexRule{match: match, logs: make([]string, r.Logs)}
		for i := range one.logs {
			one.logs[i] = fmt.Sprintf("{%s:%d:%d}", r.Match, r.Logs, i)
		}
		x.rules, x.patterns = append(x.rules, one), append(x.patterns, match)
	}
	return x, nil
}

// Log returns the name of the index log of a channel; empty: it has none. The nodes' own
// channels have none.
func (x *Index) Log(channel string) string {
	if x == nil || len(x.rules) == 0 || strings.HasPrefix(channel, ControlPrefix) {
		return ""
	}
	i := x.patterns.First(channel)
	if i < 0 {
		return ""
	}
	logs := x.rules[i].logs
	return logs[hashOf(channel)%uint32(len(logs))]
}

// hashOf is FNV-1a. It must stay what it is, as the logs that exist depend on it.
func hashOf(channel string) uint32 {
	h := uint32(2166136261)
	for i := range len(channel) {
		h = (h ^ uint32(channel[i])) * 16777619
	}
	return h
}

// IsIndexLog reports whether a log is an index log, and no channel's.
func IsIndexLog(log string) bool { return strings.HasPrefix(log, "{") }

// IndexMatch returns the Match of the rule of an index log.
func IndexMatch(log string) string {
	name := strings.TrimPrefix(log, "{")
	for range 2 {
		if i := strings.LastIndexByte(name, ':'); i >= 0 {
			name = name[:i]
		}
	}
	return name
}

// IsPattern reports whether a subscriber that asks for name asks for a pattern. No channel
// has a `*` in its name.
func IsPattern(name string) bool { return strings.Contains(name, "*") }

// Pattern is what a subscriber of a pattern follows. It never changes.
type Pattern struct {
	chanpattern.Pattern
	// Logs are the index logs that may have messages of the pattern's channels, in the
	// order of a cursor.
	Logs []string
}

// Pattern returns the pattern with this text. The error is an *InvalidError: it is no
// pattern, or no rule of the index covers it.
func (x *Index) Pattern(text string) (*Pattern, error) {
	parsed, err := chanpattern.Parse(text)
	if err != nil {
		return nil, &InvalidError{"channel", err.Error()}
	}
	p := &Pattern{Pattern: parsed}
	if x != nil {
		// Channels that a rule before the covering one matches are in its logs.
		for i, rule := range x.rules {
			if x.patterns[i].Overlap(parsed) {
				p.Logs = append(p.Logs, rule.logs...)
			}
			if x.patterns[i : i+1].Cover(parsed) {
				return p, nil
			}
		}
	}
	return nil, &InvalidError{"channel", fmt.Sprintf("%s is a pattern that no rule with patterns covers: add patterns: true to a rule under channels that matches all its channels, as in {match: %q, patterns: true}", text, text)}
}

// Filter selects the messages of index logs that a subscription gets.
type Filter struct {
	Pattern *Pattern
	// Except are channels that the subscription has anyway, and ExceptPatterns patterns:
	// their messages are not for this one.
	Except         []string
	ExceptPatterns []*Pattern
}

// wants reports whether the subscription gets the messages of channel here.
func (f *Filter) wants(channel string) bool {
	return f.Pattern.Match(channel) && !slices.Contains(f.Except, channel) &&
		!slices.ContainsFunc(f.ExceptPatterns, func(p *Pattern) bool { return p.Match(channel) })
}

// Apply returns items of an index log as the subscription gets them: messages that are not
// for it are silent, and gaps are of the pattern. A nil Filter changes nothing. The items
// that it is given stay what they are.
func (f *Filter) Apply(items []Item) []Item {
	if f == nil {
		return items
	}
	shared := true
	for i := range items {
		it := &items[i]
		if it.silent() || it.Message != nil && f.wants(it.Message.Channel) {
			continue
		}
		if shared {
			items, shared = slices.Clone(items), false
			it = &items[i]
		}
		if it.Message != nil {
			it.Message = nil
			continue
		}
		gap := *it.Gap
		gap.Channel = f.Pattern.String()
		it.Gap = &gap
	}
	return items
}

// Pattern returns the pattern with this text, as Index.Pattern does.
func (h *Hub) Pattern(text string) (*Pattern, error) { return h.options.Index.Pattern(text) }

// CountPattern adds n to the number of subscribers of a pattern, see Busiest. Subscriber
// does that itself.
func (h *Hub) CountPattern(p *Pattern, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.patterns[p.String()] += n; h.patterns[p.String()] == 0 {
		delete(h.patterns, p.String())
	}
}

// countPatterns is CountPattern for all patterns of a subscriber.
func (s *Subscriber) countPatterns(n int) {
	if s.observes {
		return
	}
	for i, p := range s.places {
		if p.filter != nil && (i == 0 || s.places[i-1].filter != p.filter) {
			s.hub.CountPattern(p.filter.Pattern, n)
		}
	}
}
