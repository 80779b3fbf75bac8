package config

import (
	"slices"
	"strings"
)

// reloadable is the keys and groups that a running node reloads. All others are
// built into listeners, connections and logs.
var reloadable = []string{
	"http.max_age",
	"http.cors",
	"http.trusted_proxies",
	"http.forwarded_header",
	"history",
	"channels",
	"auth.anonymous",
	"auth.keys",
	"auth.keys_file",
	keyRules,
	"auth.jwt",
	"auth.cookie",
	"limits",
	"drain",
	"log.level",
}

// fixed is the keys in groups of reloadable that need a restart.
var fixed = []string{
	"auth.jwt.max_age", // nodes keep revocations as long
	"limits.header",    // belongs to the HTTP server
	"limits.replay_memory",
}

// Reloads reports whether a running node reloads the setting.
func (s Setting) Reloads() bool {
	return !slices.Contains(fixed, s.Key) &&
		slices.ContainsFunc(reloadable, func(key string) bool { return s.Key == key || strings.HasPrefix(s.Key, key+".") })
}

// Change is a setting with another value.
type Change struct {
	Key      string
	From, To string // as in a variable; secrets masked
	Applied  bool   // false: it needs a restart
}

// Reload returns l with the settings of next that reload, and every setting that
// differs in the order of Table. The error is Problems: the result is not valid.
func (l *Loaded) Reload(next *Loaded) (*Loaded, []Change, error) {
	both := &loader{loaded: &Loaded{Settings: l.Settings, file: l.file, origins: map[string]string{}}, failed: map[string]bool{}}
	var changes []Change
	for _, s := range table {
		from := l
		if s.Reloads() {
			from = next
			s.copy(&both.loaded.Settings, &next.Settings)
		}
		both.loaded.origins[s.Key] = from.origins[s.Key]
		if !s.same(&l.Settings, &next.Settings) {
			changes = append(changes, Change{Key: s.Key, From: s.text(&l.Settings), To: s.text(&next.Settings), Applied: s.Reloads()})
		}
	}
	if !slices.Equal(patternRules(l.Channels), patternRules(next.Channels)) {
		both.contradict("channels", "changes match, patterns or index of a rule with patterns, by which its logs are named: restart all nodes for that")
	}
	// Both are valid alone. But next may open the node to everyone because it also
	// takes it off the network, which needs a restart.
	both.checkContradictions()
	if len(both.problems) > 0 {
		for _, p := range both.problems {
			p.Message += " (until it is restarted, the node keeps the settings that need a restart)"
		}
		return nil, nil, both.problems
	}
	return both.loaded, changes, nil
}

// patternRules returns the rules with patterns, without what reloads.
func patternRules(rules []ChannelRule) (all []ChannelRule) {
	for _, r := range rules {
		if r.Patterns {
			all = append(all, ChannelRule{Match: r.Match, Patterns: true, Index: r.Index})
		}
	}
	return all
}

// ReloadTable returns the table of docs/operations.md with the settings that a
// running node reloads.
func ReloadTable() string {
	var b strings.Builder
	b.WriteString("| setting | for |\n|---|---|\n")
	for _, s := range table {
		if s.Reloads() {
			b.WriteString("| `" + s.Key + "` | " + takesEffect(s.Key) + " |\n")
		}
	}
	return b.String()
}

// takesEffect returns what a reloaded setting applies to.
func takesEffect(key string) string {
	group, _, _ := strings.Cut(key, ".")
	switch {
	case key == "channels":
		return "messages to come; for presence see [rules for channels](#rules-for-channels)"
	case group == "history":
		return "messages to come"
	case group == "log":
		return "the next line"
	case group == "drain":
		return "the leave to come"
	case key == "http.max_age":
		return "streams that begin"
	case strings.HasSuffix(key, "_connections"), key == "limits.connections":
		return "streams and polls that begin; those that are open stay, and count"
	}
	return "the next request"
}
