// Package config turns the YAML file, the COMET_* variables and the flags into
// one validated Settings, or into all the mistakes in them at once.
//
// The table in table.go is the only place that knows which settings exist:
// defaults, flags, variable names, checks, suggestions, `comet config print`
// and the README's table all come from it.
package config

import (
	"maps"
	"os"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Source is where Load looks. Each later field wins over the ones before it,
// and all of them over the defaults.
type Source struct {
	File    string         // a YAML file's path; empty: none
	Environ []string       // as os.Environ returns it; nil: none
	Flags   *pflag.FlagSet // prepared by RegisterFlags and parsed; nil: none
}

// Loaded is a valid Settings that remembers where each value came from.
type Loaded struct {
	Settings
	file    string            // that it was read from; empty: none
	origins map[string]string // by key
}

// Load reads the settings from src. Its error is Problems: everything that is
// wrong, in the order file, environment, then the settings as in Table.
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

// layer is what one source gives: a string or []string a key, and its origin.
type layer struct {
	values  map[string]any
	origins map[string]string
}

func newLayer() layer { return layer{values: map[string]any{}, origins: map[string]string{}} }

// loader is one Load under way.
type loader struct {
	loaded   *Loaded
	problems Problems
	failed   map[string]bool // keys without a valid value, on which no other check can stand
}

// merge gives viper each source and notes whose value wins.
func (l *loader) merge(file, environ layer, flags *pflag.FlagSet) *viper.Viper {
	// Our keys are whole names. With a delimiter that none of them contains,
	// viper does not take them for paths.
	v := viper.NewWithOptions(viper.KeyDelimiter("/"))
	for _, s := range table {
		l.loaded.origins[s.Key] = originDefault
		if s.Default != "" {
			v.SetDefault(s.Key, s.Default)
		}
	}
	for _, from := range []layer{file, environ} {
		_ = v.MergeConfigMap(from.values) // always nil in viper 1.21
		maps.Copy(l.loaded.origins, from.origins)
	}
	if flags == nil {
		return v
	}
	for _, s := range table {
		if f := flags.Lookup(s.Flag); f != nil && f.Changed {
			_ = v.BindPFlag(s.Key, f) // fails only without a flag
			l.loaded.origins[s.Key] = "--" + s.Flag
		}
	}
	return v
}

// set parses raw, nil for a setting that has no default and was not given.
func (l *loader) set(s Setting, raw any) {
	if raw == nil {
		return
	}
	err := s.set(&l.loaded.Settings, raw)
	switch {
	case isPlaceholder(raw): // set all the same, so that no other setting is said to lack it
		l.fail(s, "", stillPlaceholder)
	case err != nil:
		l.fail(s, textOf(raw), err.Error())
	}
}

// fail reports a setting that has no usable value.
func (l *loader) fail(s Setting, value, message string) {
	l.failed[s.Key] = true
	l.problems = append(l.problems, &Problem{
		Key:     s.Key,
		Value:   s.shown(value),
		Source:  l.loaded.origins[s.Key],
		Message: message,
	})
}

// nameNode fills in the one default that the table cannot know.
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
		l.fail(setting(key), host, "cannot be this host's name, which it is by default: set node")
	}
}
