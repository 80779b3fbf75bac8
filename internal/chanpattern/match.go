package chanpattern

import (
	"errors"
	"fmt"
	"strings"
)

// Pattern matches names of channels. Slashes separate segments. `**` alone in a
// segment matches any number of segments, also zero, and `*` matches any text within
// one. The zero value matches nothing: use Parse.
type Pattern struct {
	text     string
	segments []string
}

// Parse parses a pattern of 1 to 255 bytes. Its error follows the name of the
// parsed value.
func Parse(text string) (Pattern, error) {
	segments, err := Segments(text)
	if err != nil {
		return Pattern{}, err
	}
	return Pattern{text: text, segments: segments}, nil
}

// String returns the text of the pattern.
func (p Pattern) String() string { return p.text }

// Match reports whether the pattern matches the whole channel.
func (p Pattern) Match(channel string) bool {
	return matchSegments(p.segments, strings.Split(channel, "/"))
}

// Patterns matches if one of its patterns matches.
type Patterns []Pattern

// ParseAll parses each text. The result is nil only if texts is nil.
func ParseAll(texts []string) (Patterns, error) {
	if texts == nil {
		return nil, nil
	}
	ps := make(Patterns, len(texts))
	var errs []error
	for i, text := range texts {
		p, err := Parse(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("item %d %w", i+1, err))
		}
		ps[i] = p
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return ps, nil
}

// Match reports whether a pattern matches the whole channel.
func (ps Patterns) Match(channel string) bool { return ps.First(channel) >= 0 }

// First returns the index of the first pattern that matches the whole channel, or -1.
func (ps Patterns) First(channel string) int {
	if len(ps) == 0 {
		return -1
	}
	var few [8]string // enough for most channels, without an allocation
	segments := few[:0]
	for segment := range strings.SplitSeq(channel, "/") {
		segments = append(segments, segment)
	}
	for i, p := range ps {
		if matchSegments(p.segments, segments) {
			return i
		}
	}
	return -1
}

// Strings returns the texts of the patterns.
func (ps Patterns) Strings() []string {
	if ps == nil {
		return nil
	}
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.text
	}
	return texts
}

// matchSegments backtracks only to the last **: it can match whatever an earlier one
// could match in addition.
func matchSegments(pattern, channel []string) bool {
	return matchSegmentsBy(pattern, channel, matchText)
}

// matchSegmentsBy is matchSegments with another way to match one segment.
func matchSegmentsBy(pattern, channel []string, match func(pattern, text string) bool) bool {
	p, c := 0, 0
	star, from := -1, 0
	for c < len(channel) {
		switch {
		case p < len(pattern) && pattern[p] == "**":
			star, from = p, c
			p++
		case p < len(pattern) && match(pattern[p], channel[c]):
			p, c = p+1, c+1
		case star >= 0:
			from++
			p, c = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == "**" {
		p++
	}
	return p > 0 && p == len(pattern)
}

// matchText matches one segment, which may have `*`.
func matchText(pattern, text string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	for {
		part, more, again := strings.Cut(rest, "*")
		if !again {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], more
	}
}
