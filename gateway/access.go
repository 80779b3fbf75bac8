package gateway

import (
	"slices"
	"strings"
)

// Access says which channels are open to everyone. The zero value opens all:
// who listens beyond loopback must not use it.
type Access struct {
	Restricted bool     // only what the patterns say
	Subscribe  []string // also reading history
	Publish    []string
}

func (a *Access) maySubscribe(channel string) error {
	return a.may(a.Subscribe, channel, "subscribe to", "auth.anonymous.subscribe")
}

func (a *Access) mayPublish(channel string) error {
	return a.may(a.Publish, channel, "publish to", "auth.anonymous.publish")
}

func (a *Access) may(patterns []string, channel, verb, setting string) error {
	if !a.Restricted || slices.ContainsFunc(patterns, func(p string) bool { return matches(p, channel) }) {
		return nil
	}
	return problem(forbidden, "You may not %s channel %q: the setting %s does not name it.", verb, channel, setting)
}

// matches reports whether pattern matches the whole channel. Both are cut at
// slashes; `**` alone between slashes is any number of segments, none too, and
// `*` is any text within one.
func matches(pattern, channel string) bool {
	return matchSegments(strings.Split(pattern, "/"), strings.Split(channel, "/"))
}

// matchSegments goes back to the newest ** only: what an older one could take
// on top, that one can take too.
func matchSegments(pattern, channel []string) bool {
	p, c := 0, 0
	star, from := -1, 0
	for c < len(channel) {
		switch {
		case p < len(pattern) && pattern[p] == "**":
			star, from = p, c
			p++
		case p < len(pattern) && matchText(pattern[p], channel[c]):
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
	return p == len(pattern)
}

// matchText matches one segment with `*` in it, in time linear in each part.
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
