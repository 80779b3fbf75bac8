package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ChannelRule sets history, presence, senders and patterns for some channels.
type ChannelRule struct {
	Match    string  // a pattern, see package chanpattern
	History  History // overrides Settings.History; zero fields do not
	Presence bool    // whether the channels have presence
	NoFrom   bool    // messages do not name their sender: `from: false`
	Patterns bool    // whether clients may subscribe to the channels by patterns
	Index    int     // with Patterns: the number of index logs, see pubsub.Index; else 0
}

// defaultIndex is the Index of a rule with patterns that has none, and maxIndex the
// greatest one (pubsub.MaxIndexLogs).
const (
	defaultIndex = 16
	maxIndex     = 64
)

// rulesType is the Setting.Type of a list of rules. The list is YAML in the file, in
// variables and in flags.
const rulesType = "rules"

// maxRules bounds the patterns that each publish and subscription is compared with.
const maxRules = 100

func channelRules() kind[[]ChannelRule] {
	return kind[[]ChannelRule]{
		name:    rulesType,
		allowed: "list of {match: pattern, history: {size: number, ttl: duration}, presence: true or false, from: true or false, patterns: true or false, index: number}",
		parse:   parseChannelRules,
		format:  formatChannelRules,
	}
}

var errNotRules = errors.New(`must be a list of rules, as in [{match: "chat/**", presence: true}]`)

// parseChannelRules reports every invalid rule by its place.
func parseChannelRules(text string) ([]ChannelRule, error) {
	var document yaml.Node
	if yaml.Unmarshal([]byte(text), &document) != nil {
		return nil, errNotRules
	}
	if len(document.Content) == 0 || isNull(document.Content[0]) {
		return nil, nil
	}
	list := document.Content[0]
	switch {
	case list.Kind != yaml.SequenceNode:
		return nil, errNotRules
	case len(list.Content) > maxRules:
		return nil, fmt.Errorf("has %d rules, of at most %d: use patterns that match more channels", len(list.Content), maxRules)
	}
	var rules []ChannelRule
	var bad []string
	for i, item := range list.Content {
		rule, err := parseChannelRule(resolve(item))
		if err != nil {
			bad = append(bad, fmt.Sprintf("rule %d %v", i+1, err))
		}
		rules = append(rules, rule)
	}
	if len(bad) > 0 {
		return nil, errors.New(strings.Join(bad, "; "))
	}
	return rules, nil
}

func parseChannelRule(node *yaml.Node) (rule ChannelRule, err error) {
	if node.Kind != yaml.MappingNode {
		return rule, errors.New(`must be as {match: "chat/**", presence: true}`)
	}
	err = eachMember(node, "", func(name string, value *yaml.Node) error {
		switch name {
		case "match":
			return oneValue(name, value, ruleMatch(), &rule.Match)
		case "history":
			return parseRuleHistory(value, &rule.History)
		case "presence":
			return oneValue(name, value, boolean(), &rule.Presence)
		case "from":
			from := true
			err := oneValue(name, value, boolean(), &from)
			rule.NoFrom = !from
			return err
		case "patterns":
			return oneValue(name, value, boolean(), &rule.Patterns)
		case "index":
			return oneValue(name, value, number(1, maxIndex), &rule.Index)
		}
		return errors.New("has a member that is not one of match, history, presence, from, patterns and index")
	})
	switch {
	case err != nil:
	case rule.Index != 0 && !rule.Patterns:
		err = errors.New("has an index, which only patterns need: add patterns: true, or remove index")
	case rule.Index == 0 && rule.Patterns:
		rule.Index = defaultIndex
	}
	if err == nil && rule.Match == "" {
		err = errors.New(`lacks match: say which channels, as in match: "chat/**"`)
	}
	return rule, err
}

func parseRuleHistory(node *yaml.Node, history *History) error {
	if node.Kind != yaml.MappingNode || len(node.Content) == 0 {
		return errors.New("must have size, ttl or both in its history, as in history: {size: 100, ttl: 1h}")
	}
	return eachMember(node, "history.", func(name string, value *yaml.Node) error {
		switch name {
		case "history.size":
			return oneValue(name, value, historySize(), &history.Size)
		case "history.ttl":
			return oneValue(name, value, historyTTL(), &history.TTL)
		}
		return errors.New("has a member of history that is not one of size and ttl")
	})
}

// eachMember calls read with each member of a mapping until one is invalid. Names
// get the prefix.
func eachMember(mapping *yaml.Node, prefix string, read func(name string, value *yaml.Node) error) error {
	seen := make(map[string]bool)
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		name := prefix + mapping.Content[i].Value
		if seen[name] {
			return fmt.Errorf("has %s twice: remove one", name)
		}
		if err := read(name, resolve(mapping.Content[i+1])); err != nil {
			return err
		}
		seen[name] = true
	}
	return nil
}

func oneValue[T any](name string, node *yaml.Node, k kind[T], to *T) (err error) {
	if node.Kind != yaml.ScalarNode || isNull(node) {
		return fmt.Errorf("must have one value as its %s", name)
	}
	if *to, err = k.parse(node.Value); err != nil {
		return fmt.Errorf("has a %s that %w", name, err)
	}
	return nil
}

// ruleMatch is a pattern that a channel of users can match.
func ruleMatch() kind[string] {
	k := pattern()
	k.parse = func(text string) (string, error) {
		if strings.HasPrefix(text, "comet.") {
			return "", errors.New("begins with comet., which is reserved for channels of the nodes: write another pattern")
		}
		return text, checkPattern(text)
	}
	return k
}

// formatChannelRules returns one line that parseChannelRules reads back.
func formatChannelRules(rules []ChannelRule) string {
	items := make([]string, len(rules))
	for i, r := range rules {
		from := ""
		if r.NoFrom {
			from = ", from: false"
		}
		items[i] = fmt.Sprintf("{match: %s%s, presence: %t%s%s}", strconv.Quote(r.Match), formatRuleHistory(r.History), r.Presence, from, formatRulePatterns(r))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func formatRulePatterns(r ChannelRule) string {
	if !r.Patterns {
		return ""
	}
	return fmt.Sprintf(", patterns: true, index: %d", r.Index)
}

func formatRuleHistory(h History) string {
	var parts []string
	if h.Size != 0 {
		parts = append(parts, "size: "+strconv.Itoa(h.Size))
	}
	if h.TTL != 0 {
		parts = append(parts, "ttl: "+formatDuration(h.TTL))
	}
	if len(parts) == 0 {
		return ""
	}
	return ", history: {" + strings.Join(parts, ", ") + "}"
}
