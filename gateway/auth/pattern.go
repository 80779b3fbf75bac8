package auth

import "comet/internal/chanpattern"

// Pattern matches names of channels, as permissions and rules for channels do.
type Pattern = chanpattern.Pattern

// Patterns matches if one of its patterns matches.
type Patterns = chanpattern.Patterns

// ParsePattern parses a pattern. Its error follows the name of the parsed value.
func ParsePattern(text string) (Pattern, error) { return chanpattern.Parse(text) }

// ParsePatterns parses each text. The result is nil only if texts is nil: see
// Permissions.
func ParsePatterns(texts []string) (Patterns, error) { return chanpattern.ParseAll(texts) }
