package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"comet/config"
)

// flagMistake words the errors of pflag for a person. They do not contain the
// value of an unknown flag, which may be a token.
func flagMistake(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := unknown.GetSpecifiedName()
		if near := nearestFlag(cmd.Flags(), name); near != "" && len(name) > 1 {
			err = fmt.Errorf("unknown flag: --%s; did you mean --%s?", name, near)
		}
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		err = invalidValue(invalid)
	}
	return &usageError{err}
}

// nearestFlag returns the flag of fs that is most like name, or an empty string.
func nearestFlag(fs *pflag.FlagSet, name string) string {
	best, distance := "", len(name)/3+1 // a flag further away is no suggestion
	fs.VisitAll(func(f *pflag.Flag) {
		d := levenshtein.ComputeDistance(name, f.Name)
		if len(name) > 2 && strings.HasPrefix(f.Name, name+"-") {
			d = min(d, 1)
		}
		if d <= distance && !f.Hidden && (best == "" || d < distance) {
			best, distance = f.Name, d
		}
	})
	return best
}

func invalidValue(e *pflag.InvalidValueError) error {
	kind := map[string]string{
		"int":      "a whole number, as in 10",
		"duration": "a duration: write a number and a unit (ms, s, m or h), as in 90s or 24h",
		"bool":     "true or false",
	}[e.GetFlag().Value.Type()]
	if kind == "" {
		return e
	}
	return fmt.Errorf("--%s: %q is not %s", e.GetFlag().Name, e.GetValue(), kind)
}

// newHelp is cobra's own help command, but unknown topics are mistakes.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show the help of a command",
		Example: `  comet help publish`,
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return knownCommand(topic, rest)
			}
			topic.InitDefaultHelpFlag()
			topic.InitDefaultVersionFlag()
			return topic.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if topic, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				for _, sub := range topic.Commands() {
					if sub.IsAvailableCommand() && strings.HasPrefix(sub.Name(), prefix) {
						names = append(names, sub.Name()+"\t"+sub.Short)
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// completeFlags has the values of all flags below cmd complete: the words that a
// setting allows, files where a flag names one, and nothing otherwise.
func completeFlags(cmd *cobra.Command) {
	words := make(map[string][]string)
	for _, s := range config.Table() {
		words[s.Flag] = wordsOf(s)
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, chosen := cmd.GetFlagCompletionFunc(f.Name); chosen || namesFile(f) {
			return
		}
		complete := cobra.FixedCompletions(words[f.Name], cobra.ShellCompDirectiveNoFileComp)
		_ = cmd.RegisterFlagCompletionFunc(f.Name, complete) // fails only for an unknown flag
	})
	for _, sub := range cmd.Commands() {
		completeFlags(sub)
	}
}

// namesFile reports whether the value of f is the name of a file or folder.
func namesFile(f *pflag.Flag) bool {
	_, annotated := f.Annotations[cobra.BashCompFilenameExt]
	return annotated || fileWord.MatchString(f.Usage)
}

var (
	fileWord  = regexp.MustCompile(`(?i)\b(files?|folder|directory)\b`) // but not redis.password_file
	wordsList = regexp.MustCompile(`^[\w-]+(, [\w-]+)+$`)
)

// wordsOf returns the values of a setting that allows some words only.
func wordsOf(s config.Setting) []string {
	if !wordsList.MatchString(s.Allowed) {
		return nil
	}
	return strings.Split(s.Allowed, ", ")
}
