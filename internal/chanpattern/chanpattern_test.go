package chanpattern_test

import (
	"strings"
	"testing"

	"comet/internal/chanpattern"
	"comet/pubsub"
)

var (
	patterns    = []string{"a", "*", "**", "public/**", "chat/*/log", "chat/**/log", "**/log", "a*b/c*", "a//b", "/", "größe", strings.Repeat("a", 255)}
	notPatterns = []string{"", "a**", "**a", "***", "a/b**/c", "{a}", "a}", "a\nb", "a\x7f", "\xff", strings.Repeat("a", 256)}
)

func TestSegments(t *testing.T) {
	for _, p := range patterns {
		if _, err := chanpattern.Segments(p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range notPatterns {
		if _, err := chanpattern.Segments(p); err == nil {
			t.Errorf("%q is valid", p)
		}
	}
}

func FuzzSegments(f *testing.F) {
	for _, p := range append(patterns, notPatterns...) {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		_, err := chanpattern.Segments(p)
		channel := pubsub.ValidateChannel(p)
		if err == nil && channel != nil && !pubsub.IsPattern(p) {
			t.Fatalf("%q is a pattern, but no channel may be called so: %v", p, channel)
		}
		if err != nil && channel == nil {
			t.Fatalf("%q is a channel's name, but no pattern: %v", p, err)
		}
		if _, below := chanpattern.Segments("**/" + p); err == nil && below != nil && len(p) <= 255-3 {
			t.Fatalf("%q is a pattern, but not below **", p)
		}
	})
}
