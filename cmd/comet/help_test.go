package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// runHere runs the command line in this process.
func runHere(t testing.TB, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	code = run(ctx, args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// eachCommand calls do with every command that is not hidden.
func eachCommand(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		eachCommand(sub, do)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	eachCommand(newRoot(), func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		code, out, errOut := runHere(t, append(path, "--help")...)
		if code != exitOK || errOut != "" {
			t.Errorf("%s --help: exit code %d, error output %q", c.CommandPath(), code, errOut)
		}
		if c.Short == "" || c.Example == "" || !strings.Contains(out, c.Example) {
			t.Errorf("the help of %s lacks a description or an example:\n%s", c.CommandPath(), out)
		}
		if asked, out2, _ := runHere(t, append([]string{"help"}, path...)...); asked != exitOK || out2 != out {
			t.Errorf("help %s is not %s --help:\n%s", c.CommandPath(), c.CommandPath(), out2)
		}
	})
}

// TestExamples checks that the commands in the examples, and their flags and
// arguments, exist.
func TestExamples(t *testing.T) {
	t.Parallel()
	eachCommand(newRoot(), func(c *cobra.Command) {
		found := false
		for line := range strings.Lines(c.Example) {
			for _, args := range commandsIn(line) {
				root := newRoot()
				used, rest, err := root.Find(args)
				if err == nil {
					err = used.ParseFlags(rest)
				}
				if err == nil {
					err = used.ValidateArgs(used.Flags().Args())
				}
				if err != nil {
					t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
				}
				found = found || used.CommandPath() == c.CommandPath() || c.HasSubCommands()
			}
		}
		if !found {
			t.Errorf("%s: no example of it:\n%s", c.CommandPath(), c.Example)
		}
	})
}

// commandsIn returns the arguments of each comet in a line of shell. It knows the
// syntax that examples use: single quotes, pipes, comments.
func commandsIn(line string) (commands [][]string) {
	line, _, _ = strings.Cut(line, "#")
	for part := range strings.FieldsFuncSeq(line, func(r rune) bool { return strings.ContainsRune("|>()", r) }) {
		_, command, ok := strings.Cut(" "+part+" ", " comet ")
		if !ok {
			continue
		}
		var args []string
		for i, quoted := range strings.Split(command, "'") {
			if i%2 == 1 {
				args = append(args, quoted)
			} else {
				args = append(args, strings.Fields(quoted)...)
			}
		}
		commands = append(commands, args)
	}
	return commands
}

func TestUsageMistakes(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"sevre":                             `unknown command "sevre"; did you mean serve?`,
		"pub":                               `did you mean publish?`,
		"nonsense":                          `unknown command "nonsense"`,
		"config prnt":                       `unknown command "prnt"; did you mean print?`,
		"completion tcsh":                   `"tcsh"`,
		"completion":                        `accepts 1 arg`,
		"version 2":                         `"2"`,
		"help sevre":                        `unknown command "sevre"; did you mean serve?`,
		"help config prnt":                  `unknown command "prnt"; did you mean print?`,
		"serve --redis-adress x":            `unknown flag: --redis-adress; did you mean --redis-addresses?`,
		"subscribe a --curser x":            `unknown flag: --curser; did you mean --cursor?`,
		"publish a b --token secret":        `unknown flag: --token; did you mean --token-file?`,
		"publish a b --quite-different":     `unknown flag: --quite-different`,
		"publish":                           `name the channel`,
		"publish news Hello World":          `put the text in quotes`,
		"publish a b --timeout 0s":          `--timeout must be more`,
		"publish a b --url nonsense":        `--url: invalid address "nonsense": write it as http`,
		"publish a b --url localhost:8080":  `--url: invalid address "localhost:8080"`,
		"token create --ttl 1d":             `--ttl: "1d" is not a duration: write a number and a unit`,
		"publish news --key k":              `--key is for one message`,
		"subscribe":                         `name at least one channel`,
		"subscribe news --last many":        `--last: "many" is not a whole number`,
		"subscribe news --last -1":          `--last and --count must be 0 or more`,
		"subscribe news --count -1":         `--last and --count must be 0 or more`,
		"subscribe n --last 1 --cursor 1-1": `--cursor and --last exclude each other`,
	} {
		code, out, errOut := runHere(t, strings.Fields(line)...)
		if code != exitUsage || out != "" {
			t.Errorf("comet %s: exit code %d, want %d; output %q", line, code, exitUsage, out)
		}
		if !strings.HasPrefix(errOut, "comet: ") || !strings.Contains(errOut, want) || !strings.Contains(errOut, "--help'.\n") {
			t.Errorf("comet %s: error output %q, want %s and where to find help", line, errOut, want)
		}
	}
}

func TestVersionFlag(t *testing.T) {
	t.Parallel()
	_, want, _ := runHere(t, "version")
	if code, out, errOut := runHere(t, "--version"); code != exitOK || out != want || errOut != "" || !strings.HasPrefix(out, "comet ") {
		t.Errorf("comet --version: exit code %d, %q %q, want %q", code, out, errOut, want)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, out, errOut := runHere(t, "completion", shell)
		if code != exitOK || errOut != "" || !strings.Contains(out, shell) || !strings.Contains(out, "__complete") {
			t.Errorf("completion %s: exit code %d, error output %q, output:\n%s", shell, code, errOut, out)
		}
	}
	// The scripts call this command.
	for line, want := range map[string]string{
		"__complete pu":                              "publish\t",
		"__complete config c":                        "check\t",
		"__complete serve --http-li":                 "--http-listen\t",
		"__complete completion z":                    "zsh\n",
		"__complete help pu":                         "publish\t",
		"__complete serve --log-level w":             "warn\nerror\n:4\n",
		"__complete serve --http-forwarded-header=X": "X-Forwarded-For\nForwarded\n:4\n",
		"__complete serve --redis-password x":        ":4\n", // no files
		"__complete serve --http-tls-cert x":         ":0\n", // files
		"__complete publish a b --token-file x":      ":0\n",
	} {
		if _, out, _ := runHere(t, strings.Fields(line)...); !strings.Contains(out, want) {
			t.Errorf("%s: %q", line, out)
		}
	}
}
