package config

import (
	"fmt"
	"strings"
)

// Problem is one error in the settings.
type Problem struct {
	Key     string // the setting, or the unknown name; empty: the whole file
	Value   string // as given, masked if it is or may hold a secret; empty for unknown names
	Source  string // a file with its line, a variable, a flag, "environment" or "default"
	Message string // the error and how to fix it
}

// Error returns one line.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Source + ": ")
	if p.Key != "" {
		b.WriteString(p.Key)
		if p.Value != "" {
			fmt.Fprintf(&b, " = %q", p.Value)
		}
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems is all errors in the settings. Load returns it.
type Problems []*Problem

// Error returns one line per problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap is for errors.Is and errors.AsType.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}
