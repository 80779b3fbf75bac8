// Package config reads the YAML file, the COMET_* variables and the flags into one
// validated Settings, or reports all problems in them at once.
//
// The table in table.go defines every setting. Defaults, flags, variable names,
// checks, suggestions, `comet config print` and the README's table come from it.
package config

import (
	"maps"
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
	v := l.merge(file.layer, environ, src.Flags)
	for _, s := range table {
		l.set(s, v.Get(s.Key))
	}
	l.nameNode()
	l.checkContradictions()
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return l.loaded, nil
}

// layer holds the values of one source, a string or []string by key, and their
// origins.
type layer struct {
	values  map[string]any
	origins map[string]string
}

func newLayer() layer { return layer{values: map[string]any{}, origins: map[string]string{}} }

// loader is the state of one Load.
type loader struct {
	loaded   *Loaded
	problems Problems
	failed   map[string]bool // keys without a valid value, which other checks skip
}

// merge lets viper merge the sources and records the origin of each value.
func (l *loader) merge(file, environ layer, flags *pflag.FlagSet) *viper.Viper {
	// Keys are whole names: viper must not split them at dots.
	v := viper.NewWithOptions(viper.KeyDelimiter("/"))
	for _, s := range table {
		l.loaded.origins[s.Key] = originDefault
		if s.Default != "" {
			v.SetDefault(s.Key, s.Default)
		}
	}
	for _, from := range []layer{file, environ} {
		_ = v.MergeConfigMap(from.values) // viper 1.21 always returns nil
		maps.Copy(l.loaded.origins, from.origins)
	}
	if flags == nil {
		return v
	}
	for _, s := range table {
		if f := flags.Lookup(s.Flag); f != nil && f.Changed {
			_ = v.BindPFlag(s.Key, f) // fails only for a nil flag
			l.loaded.origins[s.Key] = "--" + s.Flag
		}
	}
	return v
}

// set parses raw. It is nil for a setting that has no default and was not given.
func (l *loader) set(s Setting, raw any) {
	if raw == nil {
		return
	}
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
