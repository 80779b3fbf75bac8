package config

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPattern is as long as a channel's name, in bytes: a longer pattern has
// parts that match nothing.
const maxPattern = 255

// ValidatePattern returns an error unless p can match channels: segments
// between slashes in which `*` is any text, and `**`, alone in its segment, any
// number of segments. The rest is as in a channel's name.
func ValidatePattern(p string) error {
	switch {
	case p == "":
		return errors.New("is empty: write a channel or a pattern, as in public/**")
	case len(p) > maxPattern:
		return errors.New("is too long: a pattern has at most 255 bytes, as a channel has")
	case !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl):
		return errors.New("must be UTF-8 without control characters")
	case strings.ContainsAny(p, "{}"):
		return errors.New("must not contain { or }, which no channel contains")
	}
	for segment := range strings.SplitSeq(p, "/") {
		if segment != "**" && strings.Contains(segment, "**") {
			return errors.New("must have ** alone between slashes, as in public/** or chat/**/log")
		}
	}
	return nil
}
