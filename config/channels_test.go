package config

import (
	"slices"
	"strings"
	"testing"
)

var channelRuleTexts = []struct {
	text string
	want []ChannelRule
	err  string // part of it; "": none
}{
	{"", nil, ""},
	{"[]", nil, ""},
	{`[{match: "chat/**", presence: true}]`, []ChannelRule{{"chat/**", true}}, ""},
	{"- match: chat/private\n- match: 'chat/*'\n  presence: perhaps\n", nil, "rule 2 has a presence that must be true or false"},
	{"- match: chat/private\n- {match: 'chat/*', presence: true}", []ChannelRule{{"chat/private", false}, {"chat/*", true}}, ""},
	{`[&a {match: a, presence: true}, *a]`, []ChannelRule{{"a", true}, {"a", true}}, ""},
	{`[{match: "Ä\"\\/é"}]`, []ChannelRule{{`Ä"\/é`, false}}, ""},
	{`chat/**`, nil, "must be a list of rules"},
	{`{match: a}`, nil, "must be a list of rules"},
	{`[`, nil, "must be a list of rules"},
	{`[chat/**]`, nil, "rule 1 must be as {match"},
	{`[{presence: true}]`, nil, "rule 1 lacks match"},
	{`[{match: a, presense: true}]`, nil, "rule 1 has a member that is not one of"},
	{`[{match: a, match: b}]`, nil, "rule 1 has match twice"},
	{`[{match: [a]}, {match: "a{b"}]`, nil, "rule 1 must have one value as its match; rule 2 has a match that must not contain"},
	{`[{match: a, presence: }]`, nil, "must have one value as its presence"},
	{"[" + strings.Repeat("{match: a},", maxRules+1) + "]", nil, "101 rules: 100 are allowed"},
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
		"channels:\n  - match: \"chat/**\"\n    presence: true\n  - {match: b}\n",
		"channels: [{match: chat/**, presence: true}, {match: b}]\n",
		"channels: '[{match: chat/**, presence: true}, {match: b}]'\n",
	} {
		loaded := mustLoad(t, Source{File: writeFile(t, "comet.yaml", text)})
		if want := []ChannelRule{{"chat/**", true}, {"b", false}}; !slices.Equal(loaded.Channels, want) {
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
