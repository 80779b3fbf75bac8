package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ChannelRule is what some channels have.
type ChannelRule struct {
	Match    string // a pattern, see ValidatePattern
	Presence bool   // it is kept, shown and told who is there
}

// rulesType is Setting.Type of a list of rules, which is YAML wherever it is
// written.
const rulesType = "rules"

// maxRules bounds what is asked for each subscription.
const maxRules = 100

func channelRules() kind[[]ChannelRule] {
	return kind[[]ChannelRule]{
		name:    rulesType,
		allowed: "list of {match: pattern, presence: true or false}",
		parse:   parseChannelRules,
		format:  formatChannelRules,
	}
}

var errNotRules = errors.New(`must be a list of rules, as in [{match: "chat/**", presence: true}]`)

// parseChannelRules reports every bad rule, by its place.
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
		return nil, fmt.Errorf("has %d rules: %d are allowed, so write patterns that match more", len(list.Content), maxRules)
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
	seen := make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i].Value, resolve(node.Content[i+1])
		switch {
		case seen[name]:
			return rule, fmt.Errorf("has %s twice: remove one", name)
		case name != "match" && name != "presence":
			return rule, errors.New("has a member that is not one of match and presence")
		case value.Kind != yaml.ScalarNode || isNull(value):
			return rule, fmt.Errorf("must have one value as its %s", name)
		case name == "match":
			rule.Match, err = value.Value, ValidatePattern(value.Value)
		case name == "presence":
			rule.Presence, err = boolean().parse(value.Value)
		}
		if err != nil {
			return rule, fmt.Errorf("has a %s that %w", name, err)
		}
		seen[name] = true
	}
	if !seen["match"] {
		return rule, errors.New(`lacks match: say which channels, as in match: "chat/**"`)
	}
	return rule, nil
}

// formatChannelRules writes in one line what parseChannelRules reads.
func formatChannelRules(rules []ChannelRule) string {
	items := make([]string, len(rules))
	for i, r := range rules {
		items[i] = fmt.Sprintf("{match: %s, presence: %t}", strconv.Quote(r.Match), r.Presence)
	}
	return "[" + strings.Join(items, ", ") + "]"
}
