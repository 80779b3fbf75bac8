package gateway

import (
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
	{"a**b", "axxb", true}, // only alone between slashes it crosses them
	{"a**b", "a/b", false},
	{"", "", true},
	{"", "a", false},
	{"a//b", "a//b", true},
	{"a/*/b", "a//b", true},
	{"[a]?.", "[a]?.", true},
	{"[a]?.", "ax.", false},
	{"é*", "éa", true},
}

func TestMatches(t *testing.T) {
	for _, test := range matchTests {
		if got := matches(test.pattern, test.channel); got != test.want {
			t.Errorf("%q matches %q: %v, want %v", test.pattern, test.channel, got, test.want)
		}
	}
}

// matches agrees with the plainest matcher that says what a pattern means.
func FuzzMatches(f *testing.F) {
	for _, test := range matchTests {
		f.Add(test.pattern, test.channel)
	}
	f.Fuzz(func(t *testing.T, pattern, channel string) {
		if len(pattern) > 16 || len(channel) > 16 || strings.Count(pattern, "*") > 6 {
			t.Skip("the plain matcher would take too long")
		}
		want := plainSegments(strings.Split(pattern, "/"), strings.Split(channel, "/"))
		if got := matches(pattern, channel); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, channel, got, want)
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
