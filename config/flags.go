package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// RegisterFlags adds a flag for each setting to fs. Flags accept any text, which
// Load checks. The flag of a list may be repeated.
func RegisterFlags(fs *pflag.FlagSet) {
	for _, s := range table {
		usage := s.Help
		if s.Allowed != "" && s.Type != "bool" {
			usage += " (" + s.Allowed + ")"
		}
		usage = strings.ReplaceAll(usage, "`", "") // pflag takes backquotes for the name of the value
		flag := fs.VarPF(&flagValue{text: s.Default, typ: s.Type}, s.Flag, "", usage)
		if s.Type == "bool" {
			flag.NoOptDefVal = "true"
		}
	}
}

// flagValue is a pflag.Value.
type flagValue struct {
	text  string
	typ   string
	given bool
}

// String returns the text as given.
func (v *flagValue) String() string { return v.text }

func (v *flagValue) Set(text string) error {
	if v.given && v.typ == "list" {
		text = v.text + "," + text
	}
	v.text, v.given = text, true
	return nil
}

// Type returns the word that the help shows for the value.
func (v *flagValue) Type() string { return v.typ }
