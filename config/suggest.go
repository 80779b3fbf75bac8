package config

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// suggest returns a hint with the setting that is most like unknown, which is a key
// or a variable without COMET_. nameOf returns the name to show.
func suggest(unknown string, nameOf func(Setting) string) string {
	unknown = normalize(unknown)
	best, distance := "", len(unknown)/2+1 // a setting further away is no suggestion
	for _, s := range table {
		// The last part alone matches a setting written outside its group.
		last := s.Key[strings.LastIndexByte(s.Key, '.')+1:]
		d := min(remoteness(unknown, normalize(s.Key)), remoteness(unknown, normalize(last))+1)
		if d < distance {
			best, distance = nameOf(s), d
		}
	}
	if best == "" {
		return "`comet config print` shows all settings"
	}
	return "did you mean " + best + "?"
}

// normalize maps keys and variables to the same form.
func normalize(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), ".", "_")
}

// remoteness is the edit distance, at most 1 for an abbreviation.
func remoteness(unknown, known string) int {
	if strings.HasPrefix(known, unknown) {
		return min(1, len(known)-len(unknown))
	}
	return levenshtein.ComputeDistance(unknown, known)
}
