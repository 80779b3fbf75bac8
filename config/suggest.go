package config

import "strings"

// suggest says which setting the unknown key, or variable without COMET_, was
// probably meant to be, as nameOf calls it.
func suggest(unknown string, nameOf func(Setting) string) string {
	unknown = normalize(unknown)
	best, distance := "", len(unknown)/2+1 // one further away is not what was meant
	for _, s := range table {
		// The last part alone is for a setting written outside its group.
		last := s.Key[strings.LastIndexByte(s.Key, '.')+1:]
		d := min(remoteness(unknown, normalize(s.Key)), remoteness(unknown, normalize(last))+1)
		if d < distance {
			best, distance = nameOf(s), d
		}
	}
	if best == "" {
		return "`comet config print` shows those that are"
	}
	return "did you mean " + best + "?"
}

// normalize makes keys and variables alike.
func normalize(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), ".", "_")
}

// remoteness is the edit distance, but little for an abbreviation.
func remoteness(unknown, known string) int {
	if strings.HasPrefix(known, unknown) {
		return min(1, len(known)-len(unknown))
	}
	return editDistance(unknown, known)
}

// editDistance is Levenshtein's: how many bytes to insert, delete or replace.
func editDistance(a, b string) int {
	distances := make([]int, len(b)+1) // from the beginning of a so far to each beginning of b
	for j := range distances {
		distances[j] = j
	}
	for i := range len(a) {
		diagonal := distances[0]
		distances[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = distances[j+1]
			distances[j+1] = min(replaced, diagonal+1, distances[j]+1)
		}
	}
	return distances[len(b)]
}
