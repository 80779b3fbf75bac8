package config

import (
	"fmt"
	"io"
	"strings"
)

const originDefault = "default"

// Value is one effective setting.
type Value struct {
	Key    string
	Value  string // as in a variable; secrets masked
	Origin string // "default", a file with its line, a variable, or a flag with its dashes
}

// Values returns every effective setting in the order of Table.
func (l *Loaded) Values() []Value {
	values := make([]Value, len(table))
	for i, s := range table {
		values[i] = Value{Key: s.Key, Value: s.text(&l.Settings), Origin: l.origins[s.Key]}
	}
	return values
}

// WriteYAML writes every effective setting and, in a comment, its origin. Load reads
// the text back, except for secrets, which are masked and commented out. Lists that
// are not set are commented out too.
func (l *Loaded) WriteYAML(w io.Writer) error {
	var b strings.Builder
	var open []string // the groups of the last line
	for _, s := range table {
		path := strings.Split(s.Key, ".")
		groups, name := path[:len(path)-1], path[len(path)-1]
		for depth, group := range groups {
			if depth >= len(open) || open[depth] != group {
				fmt.Fprintf(&b, "%s%s:\n", indent(depth), group)
				open = nil // the groups in it are other ones
			}
		}
		open = groups
		fmt.Fprintf(&b, "%s%s  # %s\n", indent(len(groups)), s.line(name, &l.Settings), l.origins[s.Key])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func indent(depth int) string { return strings.Repeat("  ", depth) }

func (s Setting) line(name string, settings *Settings) string {
	value := s.yaml(settings)
	switch {
	case value == "":
		return "# " + name + ": not set"
	case s.Secret && s.text(settings) != "":
		return "# " + name + ": " + value
	}
	return name + ": " + value
}
