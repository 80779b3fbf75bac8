package config

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const exampleHead = `# Settings of Comet: each with its description and its default, which is commented out.
# Remove the # before those that you change, and check the file:
#
#   comet config check --config comet.yaml
#
# A variable (COMET_HTTP_LISTEN) wins over this file, and a flag (--http-listen) over
# both. A running node reads the file again when it changes, or on SIGHUP.
`

// exampleWidth is the longest line of a description.
const exampleWidth = 90

// WriteExample writes a file of settings to start from: every setting of Table, with
// its description and allowed values, and its default commented out. Load reads the
// text back as the defaults, whichever settings are not commented out any more.
func WriteExample(w io.Writer) error {
	var defaults Settings
	for _, s := range table {
		if s.Default == "" {
			continue
		}
		if err := s.set(&defaults, s.Default); err != nil {
			return fmt.Errorf("default of %s: %w", s.Key, err)
		}
	}
	var b strings.Builder
	b.WriteString(exampleHead)
	var open []string // the groups of the last line
	for _, s := range table {
		path := strings.Split(s.Key, ".")
		groups, name := path[:len(path)-1], path[len(path)-1]
		if len(groups) == 0 || len(open) == 0 || groups[0] != open[0] {
			b.WriteString("\n")
		}
		for depth, group := range groups {
			if depth >= len(open) || open[depth] != group {
				fmt.Fprintf(&b, "%s%s:\n", indent(depth), group)
				open = nil // the groups in it are other ones
			}
		}
		open = groups
		writeComment(&b, indent(len(groups)), s.description())
		fmt.Fprintf(&b, "%s#%s: %s\n", indent(len(groups)), name, s.example(&defaults))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// description returns the help and the allowed values of a setting, as sentences.
func (s Setting) description() string {
	first, size := utf8.DecodeRuneInString(s.Help)
	text := strings.ToUpper(string(first)) + s.Help[size:] + "."
	if s.Allowed != "" {
		text += " Allowed: " + s.Allowed + "."
	}
	return text
}

// example returns the default as in the file; of a list that is not set, an empty one.
func (s Setting) example(defaults *Settings) string {
	if text := s.yaml(defaults); text != "" {
		return text
	}
	return "[]"
}

// writeComment writes text as comments, in lines of at most exampleWidth.
func writeComment(b *strings.Builder, indent, text string) {
	line := indent + "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > exampleWidth {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
