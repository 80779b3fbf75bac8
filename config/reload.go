package config

import (
	"slices"
	"strings"
)

// reloadable is what a running node takes anew, a key or a whole group each. All
// else is built into listeners, connections and logs that would have to be made
// again.
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

// fixed is what of those groups is not.
var fixed = []string{
	"auth.jwt.max_age", // for so long nodes remember who was thrown out
	"limits.header",    // the HTTP server's own
	"limits.replay_memory",
}

// Reloads reports whether a running node takes the setting anew.
func (s Setting) Reloads() bool {
	return !slices.Contains(fixed, s.Key) &&
		slices.ContainsFunc(reloadable, func(key string) bool { return s.Key == key || strings.HasPrefix(s.Key, key+".") })
}

// Change is a setting that is not what it was.
type Change struct {
	Key      string
	From, To string // as in a variable; secrets masked
	Taken    bool   // false: it needs a restart
}

// Reload is what a node that runs with l runs with once it has taken of next
// what it can, and every setting that differs, in the order of Table. The error
// is Problems: the two are wrong together.
func (l *Loaded) Reload(next *Loaded) (*Loaded, []Change, error) {
	both := &loader{loaded: &Loaded{Settings: l.Settings, file: l.file, origins: map[string]string{}}, failed: map[string]bool{}}
	var changes []Change
	for _, s := range table {
		from := l
		if s.Reloads() {
			from = next
			s.take(&both.loaded.Settings, &next.Settings)
		}
		both.loaded.origins[s.Key] = from.origins[s.Key]
		if !s.same(&l.Settings, &next.Settings) {
			changes = append(changes, Change{Key: s.Key, From: s.text(&l.Settings), To: s.text(&next.Settings), Taken: s.Reloads()})
		}
	}
	// Each is right by itself. But who takes a node off the network and opens it
	// to everyone must not have it open there until the restart.
	both.checkContradictions()
	if len(both.problems) > 0 {
		for _, p := range both.problems {
			p.Message += " (until the node is restarted, it keeps what needs a restart)"
		}
		return nil, nil, both.problems
	}
	return both.loaded, changes, nil
}

// ReloadTable is the table of docs/operations.md of what a running node takes
// anew.
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

// takesEffect says for whom a setting that reloads is another.
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
