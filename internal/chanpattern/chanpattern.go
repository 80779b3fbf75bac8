// Package chanpattern parses patterns of channels, for settings and for tokens.
package chanpattern

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxBytes is the maximum length of the name of a channel.
const maxBytes = 255

// Segments returns the segments of a pattern, which slashes separate. `*` in a segment
// matches any text within it, and a segment `**` any number of segments. The rest of a
// pattern is as in the name of a channel. The error follows the name of the pattern.
func Segments(pattern string) ([]string, error) {
	switch {
	case pattern == "":
		return nil, errors.New("is empty: write a channel or a pattern, as in public/**")
	case len(pattern) > maxBytes:
		return nil, errors.New("is too long: a pattern has at most 255 bytes, as a channel has")
	case !utf8.ValidString(pattern) || strings.ContainsFunc(pattern, unicode.IsControl):
		return nil, errors.New("must be UTF-8 without control characters")
	case strings.ContainsAny(pattern, "{}"):
		return nil, errors.New("must not contain { or }, which no channel contains")
	}
	segments := strings.Split(pattern, "/")
	for _, segment := range segments {
		if segment != "**" && strings.Contains(segment, "**") {
			return nil, errors.New("must have ** alone between slashes, as in public/** or chat/**/log")
		}
	}
	return segments, nil
}
