// Package config reads the YAML file, the COMET_* variables and the flags into one
// validated Settings, or reports all problems in them at once.
//
// The table in table.go defines every setting. Defaults, flags, variable names,
// checks, suggestions, `comet config print`, its example and the table of docs/settings.md come from it.
package config

import (
	"os"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Source is the input of Load. A later field overrides an earlier one, and each
// overrides the defaults.
type Source struct {
	File    string         // a YAML file's path; empty: none
	Environ []string       // as os.Environ returns it; nil: none
	Flags   *pflag.FlagSet // prepared by RegisterFlags and parsed; nil: none
}

// Loaded is a valid Settings with the origin of each value.
type Loaded struct {
	Settings
	file    string            // the file of settings; empty: none
	origins map[string]string // by key
}

// Load reads the settings from src. Its error is Problems, in the order file,
// environment, settings as in Table.
func Load(src Source) (*Loaded, error) {
	file, problems := readFile(src.File)
	environ, unknown := readEnviron(src.Environ)
	problems = append(problems, unknown...)

	l := &loader{
		loaded:   &Loaded{file: src.File, origins: map[string]string{}},
		problems: problems,
		failed:   file.failed,
	}
	v := merge(file.values, environ, src.Flags)
	for _, s := range table {
		l.set(s, v.Get(s.Key).(given))
	}
	l.nameNode()
	l.checkContradictions()
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return l.loaded, nil
}

// given is a value that one source has for a setting.
type given struct {
	raw    any // string or []string
	origin string
}

// loader is the state of one Load.
type loader struct {
	loaded   *Loaded
	problems Problems
	failed   map[string]bool // keys without a valid value, which other checks skip
}

// merge lets viper find the given value of each setting: that of a flag, else of the
// environment, else of the file, else the default.
func merge(file, environ map[string]any, flags *pflag.FlagSet) *viper.Viper {
	// Keys are whole names: viper must not split them at dots.
	v := viper.NewWithOptions(viper.KeyDelimiter("/"))
	for _, s := range table {
		v.SetDefault(s.Key, given{s.Default, originDefault})
		if flags == nil {
			continue
		}
		if f := flags.Lookup(s.Flag); f != nil && f.Changed {
			v.Set(s.Key, given{f.Value.String(), "--" + s.Flag})
		}
	}
	_ = v.MergeConfigMap(file) // viper 1.21 always returns nil
	_ = v.MergeConfigMap(environ)
	return v
}

// set parses a given value.
func (l *loader) set(s Setting, value given) {
	l.loaded.origins[s.Key] = value.origin
	if value.origin == originDefault && s.Default == "" {
		return
	}
	raw := value.raw
	err := s.set(&l.loaded.Settings, raw)
	switch {
	case isPlaceholder(raw): // the value is set, so that no other setting is reported to need it
		l.fail(s, "", stillPlaceholder)
	case err != nil:
		l.fail(s, textOf(raw), err.Error())
	}
}

// fail reports a setting that has no valid value.
func (l *loader) fail(s Setting, value, message string) {
	l.failed[s.Key] = true
	l.problems = append(l.problems, &Problem{
		Key:     s.Key,
		Value:   s.shown(value),
		Source:  l.loaded.origins[s.Key],
		Message: message,
	})
}

// nameNode sets the default of node, the host name.
func (l *loader) nameNode() {
	const key = "node"
	if l.loaded.Node != "" || l.failed[key] {
		return
	}
	host, err := os.Hostname()
	if err == nil {
		l.loaded.Node, err = nodeName().parse(host)
	}
	if err != nil || l.loaded.Node == "" {
		l.fail(setting(key), host, "is the host name by default, which is not a valid name of a node: set node")
	}
}
