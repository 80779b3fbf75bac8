package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

var channelRuleTexts = []struct {
	text string
	want []ChannelRule
	err  string // part of it; "": none
}{
	{"", nil, ""},
	{"[]", nil, ""},
	{`[{match: "chat/**", presence: true}]`, []ChannelRule{{Match: "chat/**", Presence: true}}, ""},
	{"- match: chat/private\n- match: 'chat/*'\n  presence: perhaps\n", nil, "rule 2 has a presence that must be true or false"},
	{"- match: chat/private\n- {match: 'chat/*', presence: true}", []ChannelRule{{Match: "chat/private"}, {Match: "chat/*", Presence: true}}, ""},
	{`[&a {match: a, presence: true}, *a]`, []ChannelRule{{Match: "a", Presence: true}, {Match: "a", Presence: true}}, ""},
	{`[{match: "Ä\"\\/é"}]`, []ChannelRule{{Match: `Ä"\/é`}}, ""},
	{`chat/**`, nil, "must be a list of rules"},
	{`{match: a}`, nil, "must be a list of rules"},
	{`[`, nil, "must be a list of rules"},
	{`[chat/**]`, nil, "rule 1 must be as {match"},
	{`[{presence: true}]`, nil, "rule 1 lacks match"},
	{`[{match: a, presense: true}]`, nil, "rule 1 has a member that is not one of"},
	{`[{match: a, history: {size: 10, ttl: 1h30m}}]`, []ChannelRule{{Match: "a", History: History{10, 90 * time.Minute}}}, ""},
	{`[{history: {size: "10"}, match: a}]`, []ChannelRule{{Match: "a", History: History{Size: 10}}}, ""},
	{`[{match: a, history: {ttl: 10s}, presence: true}]`, []ChannelRule{{Match: "a", History: History{TTL: 10 * time.Second}, Presence: true}}, ""},
	{`[{match: a, history: &h {ttl: 10s}}, {match: b, history: *h}]`, []ChannelRule{{Match: "a", History: History{TTL: 10 * time.Second}}, {Match: "b", History: History{TTL: 10 * time.Second}}}, ""},
	{`[{match: a, history: 10}]`, nil, "rule 1 must have size, ttl or both in its history"},
	{`[{match: a, history: }]`, nil, "rule 1 must have size, ttl or both in its history"},
	{`[{match: a, history: {}}]`, nil, "rule 1 must have size, ttl or both in its history"},
	{`[{match: a, history: {size: 0}}]`, nil, "rule 1 has a history.size that is out of range: write 1 to 1000000 (to keep no messages, publish them as ephemeral)"},
	{`[{match: a, history: {size: 1000001}}]`, nil, "rule 1 has a history.size that is out of range: write 1 to 1000000"},
	{`[{match: a, history: {size: [1]}}]`, nil, "rule 1 must have one value as its history.size"},
	{`[{match: a, history: {size: 1, size: 2}}]`, nil, "rule 1 has history.size twice: remove one"},
	{`[{match: a, history: {ttl: 60}}]`, nil, "rule 1 has a history.ttl that needs a unit"},
	{`[{match: a, history: {ttl: 500ms}}]`, nil, "rule 1 has a history.ttl that is out of range: write 1s to 8760h"},
	{`[{match: a, history: {length: 1}}]`, nil, "rule 1 has a member of history that is not one of size and ttl"},
	{`[{match: comet.revocations}]`, nil, "rule 1 has a match that begins with comet."},
	{`[{match: ""}]`, nil, "rule 1 has a match that is empty"},
	{`[{match: a, match: b}]`, nil, "rule 1 has match twice"},
	{`[{match: [a]}, {match: "a{b"}]`, nil, "rule 1 must have one value as its match; rule 2 has a match that must not contain"},
	{`[{match: a, from: false}, {match: b, from: true}]`, []ChannelRule{{Match: "a", NoFrom: true}, {Match: "b"}}, ""},
	{`[{match: a, from: alice}]`, nil, "rule 1 has a from that must be true or false"},
	{`[{match: "a/**", patterns: true}]`, []ChannelRule{{Match: "a/**", Patterns: true, Index: 16}}, ""},
	{`[{match: "a/**", patterns: true, index: 1}]`, []ChannelRule{{Match: "a/**", Patterns: true, Index: 1}}, ""},
	{`[{match: "a/**", patterns: false}]`, []ChannelRule{{Match: "a/**"}}, ""},
	{`[{match: "a/**", index: 1}]`, nil, "rule 1 has an index, which only patterns need"},
	{`[{match: "a/**", patterns: true, index: 65}]`, nil, "rule 1 has a index that is out of range: write 1 to 64"},
	{`[{match: a, presence: }]`, nil, "must have one value as its presence"},
	{"[" + strings.Repeat("{match: a},", maxRules+1) + "]", nil, "101 rules, of at most 100"},
}

func TestChannelRules(t *testing.T) {
	t.Parallel()
	for _, test := range channelRuleTexts {
		got, err := parseChannelRules(test.text)
		switch {
		case test.err == "" && (err != nil || !slices.Equal(got, test.want)):
			t.Errorf("%q: %v, %v", test.text, got, err)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%q: %v, want %q", test.text, err, test.err)
		}
	}
}

// In the file the rules are YAML as everything else.
func TestChannelRulesInFile(t *testing.T) {
	t.Parallel()
	var print strings.Builder
	for _, text := range []string{
		"channels:\n  - match: \"chat/**\"\n    history: {size: 10, ttl: 1h}\n    presence: true\n  - {match: b}\n",
		"channels: [{match: chat/**, history: {size: 10, ttl: 60m}, presence: true}, {match: b}]\n",
		"channels: '[{match: chat/**, history: {size: 10, ttl: 60m}, presence: true}, {match: b}]'\n",
	} {
		loaded := mustLoad(t, Source{File: writeFile(t, "comet.yaml", text)})
		if want := []ChannelRule{{Match: "chat/**", History: History{10, time.Hour}, Presence: true}, {Match: "b"}}; !slices.Equal(loaded.Channels, want) {
			t.Errorf("%q: %v", text, loaded.Channels)
		}
		print.Reset()
		if err := loaded.WriteYAML(&print); err != nil {
			t.Fatal(err)
		}
		if again := mustLoad(t, Source{File: writeFile(t, "printed.yaml", print.String())}); !slices.Equal(again.Channels, loaded.Channels) {
			t.Errorf("printed as %s: %v", print.String(), again.Channels)
		}
	}
}

func FuzzChannelRules(f *testing.F) {
	for _, test := range channelRuleTexts {
		f.Add(test.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := parseChannelRules(text)
		if err != nil {
			return
		}
		again, err := parseChannelRules(formatChannelRules(rules))
		if err != nil || !slices.Equal(rules, again) {
			t.Errorf("%v became %v, %v", rules, again, err)
		}
	})
}
