package chanpattern

import (
	"slices"
	"strings"
	"testing"
)

var matchTests = []struct {
	pattern, channel string
	want             bool
}{
	{"news", "news", true},
	{"news", "new", false},
	{"news", "news/today", false},
	{"chat/*", "chat/1", true},
	{"chat/*", "chat/", true},
	{"chat/*", "chat", false},
	{"chat/*", "chat/1/2", false},
	{"chat/*/log", "chat/1/log", true},
	{"*", "news", true},
	{"*", "a/b", false},
	{"a*c", "abbc", true},
	{"a*c", "ac", true},
	{"a*c", "acb", false},
	{"*a*b*", "xxaxxbxx", true},
	{"*a*b*", "xxbxxaxx", false},
	{"*ab", "aab", true},
	{"ab*ba", "aba", false},
	{"**", "anything/at//all", true},
	{"**", "", true},
	{"chat/**", "chat", true},
	{"chat/**", "chat/1/2/3", true},
	{"chat/**", "chats/1", false},
	{"**/log", "log", true},
	{"**/log", "a/b/log", true},
	{"**/log", "a/b/logs", false},
	{"a/**/z", "a/z", true},
	{"a/**/z", "a/b/z/c/z", true},
	{"a/**/b/**/c", "a/x/b/b/y/c", true},
	{"a/**/b/**/c", "a/x/c", false},
	{"**/*", "a/b", true},
	{"a//b", "a//b", true},
	{"a/*/b", "a//b", true},
	{"[a]?.", "[a]?.", true},
	{"[a]?.", "ax.", false},
	{"é*", "éa", true},
}

func TestMatch(t *testing.T) {
	for _, test := range matchTests {
		p, err := Parse(test.pattern)
		if err != nil {
			t.Errorf("%q: %v", test.pattern, err)
			continue
		}
		if got := p.Match(test.channel); got != test.want {
			t.Errorf("%q matches %q: %v, want %v", p, test.channel, got, test.want)
		}
		if got := (Patterns{{}, p}).Match(test.channel); got != test.want {
			t.Errorf("%q in a list matches %q: %v, want %v", p, test.channel, got, test.want)
		}
		want := map[bool]int{true: 1, false: -1}[test.want]
		if got := (Patterns{{}, p, p}).First(test.channel); got != want {
			t.Errorf("%q in a list matches %q first at %d, want %d", p, test.channel, got, want)
		}
	}
}

// The zero Pattern matches nothing.
func TestZeroPattern(t *testing.T) {
	for _, channel := range []string{"", "a", "a/b"} {
		if (Pattern{}).Match(channel) || (Patterns{}).Match(channel) || (Patterns)(nil).Match(channel) {
			t.Errorf("%q is matched by nothing", channel)
		}
	}
}

func TestParseAll(t *testing.T) {
	texts := []string{"a", "*", "**", "chat/*/log", "a//b", "größe"}
	if ps, err := ParseAll(texts); err != nil || !slices.Equal(ps.Strings(), texts) {
		t.Errorf("got %q, %v", ps.Strings(), err)
	}
	if ps, err := ParseAll(nil); ps != nil || err != nil || ps.Strings() != nil {
		t.Errorf("no list is %v, %v", ps, err)
	}
	if ps, err := ParseAll([]string{}); ps == nil || err != nil {
		t.Errorf("an empty list is %v, %v", ps, err)
	}
	for _, text := range []string{"", "a**"} {
		if ps, err := ParseAll([]string{"a", text}); ps != nil || err == nil || !strings.HasPrefix(err.Error(), "item 2 ") {
			t.Errorf("%q: got %v, %v", text, ps, err)
		}
	}
}

// A pattern matches as the plainest matcher says that it must.
func FuzzMatch(f *testing.F) {
	for _, test := range matchTests {
		f.Add(test.pattern, test.channel)
	}
	f.Fuzz(func(t *testing.T, text, channel string) {
		if len(text) > 16 || len(channel) > 16 || strings.Count(text, "*") > 6 {
			t.Skip("the plain matcher would take too long")
		}
		p, err := Parse(text)
		if err != nil {
			return
		}
		want := plainSegments(strings.Split(text, "/"), strings.Split(channel, "/"))
		if got := p.Match(channel); got != want {
			t.Errorf("%q matches %q: %v, want %v", text, channel, got, want)
		}
		if got := (Patterns{p}).Match(channel); got != want {
			t.Errorf("%q in a list matches %q: %v, want %v", text, channel, got, want)
		}
	})
}

func plainSegments(pattern, channel []string) bool {
	if len(pattern) == 0 {
		return len(channel) == 0
	}
	if pattern[0] == "**" && (plainSegments(pattern[1:], channel) || len(channel) > 0 && plainSegments(pattern, channel[1:])) {
		return true
	}
	return len(channel) > 0 && pattern[0] != "**" && plainText(pattern[0], channel[0]) && plainSegments(pattern[1:], channel[1:])
}

func plainText(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	if pattern[0] == '*' {
		return plainText(pattern[1:], text) || text != "" && plainText(pattern, text[1:])
	}
	return text != "" && pattern[0] == text[0] && plainText(pattern[1:], text[1:])
}
