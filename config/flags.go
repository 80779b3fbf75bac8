package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// RegisterFlags adds a flag for each setting to fs. They take any text: Load
// checks it together with everything else. A list's flag may be repeated.
func RegisterFlags(fs *pflag.FlagSet) {
	for _, s := range table {
		usage := s.Help
		if s.Allowed != "" && s.Type != "bool" {
			usage += " (" + s.Allowed + ")"
		}
		usage = strings.ReplaceAll(usage, "`", "") // pflag would take it for the value's name
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

// String is the text as given, which viper reads.
func (v *flagValue) String() string { return v.text }

func (v *flagValue) Set(text string) error {
	if v.given && v.typ == "list" {
		text = v.text + "," + text
	}
	v.text, v.given = text, true
	return nil
}

// Type is the word that pflag shows for the value in the help. For a boolean
// it is pflag's other boolean type, which has none: at "bool" viper would turn
// a wrong text into false.
func (v *flagValue) Type() string {
	if v.typ == "bool" {
		return "boolfunc"
	}
	return v.typ
}
