package main

import (
	"strings"
	"syscall"
	"testing"

	"comet/internal/servertest"
)

// TestCommandToken checks that the command line sends the token of --token-file or
// COMET_TOKEN to nodes, and shows it nowhere else.
func TestCommandToken(t *testing.T) {
	t.Parallel()
	_, url := startNode(t, servertest.GuardedFlags(t)...)
	token := servertest.Token(t, "alice", 0)
	file := servertest.NewFile(t, token+"\n")
	for name, test := range map[string]struct {
		flags   []string
		environ []string
	}{
		"file":                   {flags: []string{"--token-file", file}},
		"variable":               {environ: []string{"COMET_TOKEN=" + token}},
		"file before a variable": {flags: []string{"--token-file", file}, environ: []string{"COMET_TOKEN=" + servertest.Token(t, "alice", 0)[9:]}},
		"API key":                {environ: []string{"COMET_TOKEN=" + servertest.BackendKey}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup{environ: append(test.environ, urlVariable+"="+url)}
			s.runToEnd(t, append([]string{"publish", "news", "Hello!"}, test.flags...)...).wantExit(exitOK)
			p := s.runToEnd(t, append([]string{"subscribe", "news", "--last", "1", "--count", "1"}, test.flags...)...)
			p.wantExit(exitOK)
			p.wantOut("Hello!\n")
		})
	}
}

// A refusal says how to give a token, and no mistake shows one.
func TestCommandTokenMistakes(t *testing.T) {
	t.Parallel()
	_, url := startNode(t, servertest.GuardedFlags(t)...)
	const secret = "sEcReTsEcReT"
	for name, test := range map[string]struct {
		args, environ []string
		exit          int
		want          string
	}{
		"none":           {exit: exitFailure, want: `401 .*\(give a token or key with --token-file or COMET_TOKEN\)`},
		"wrong":          {environ: []string{"COMET_TOKEN=" + secret}, exit: exitFailure, want: `: 401 `},
		"no such file":   {args: []string{"--token-file", "missing"}, exit: exitFailure, want: `--token-file: .*missing`},
		"empty file":     {args: []string{"--token-file", servertest.NewFile(t, "\n")}, exit: exitFailure, want: `--token-file: .* is empty`},
		"several lines":  {args: []string{"--token-file", servertest.NewFile(t, secret+"\n"+secret)}, exit: exitFailure, want: `--token-file: not a token or key: it has spaces`},
		"query":          {args: []string{"--url", url + "/?access_token=" + secret}, exit: exitUsage, want: `--url: the address .* must not have a query: give a token with --token-file`},
		"query, no URL":  {args: []string{"--url", "localhost/?access_token=" + secret}, exit: exitUsage, want: `--url: invalid address "localhost/"`},
		"user":           {args: []string{"--url", "//" + secret + "@localhost"}, exit: exitUsage, want: `--url: invalid address "localhost"`},
		"flag":           {args: []string{"--token=" + secret}, exit: exitUsage, want: `unknown flag: --token; did you mean --token-file\?`},
		"query, no node": {args: []string{"--url", deadURL + "/%zz?access_token=" + secret}, exit: exitUsage, want: `--url: invalid address`},
	} {
		for _, command := range [][]string{{"publish", "news", "x"}, {"subscribe", "news"}} {
			t.Run(command[0]+", "+name, func(t *testing.T) {
				t.Parallel()
				p := setup{environ: append(test.environ, urlVariable+"="+url)}.runToEnd(t, append(command, test.args...)...)
				p.wantExit(test.exit)
				p.wantOut("")
				p.awaitErr(`^comet: .*` + test.want)
				if strings.Contains(p.errOut.String(), secret) {
					t.Error("it shows the token")
				}
			})
		}
	}
}

// A name with a wildcard is a pattern: one can subscribe to it, where a rule says so.
func TestCommandWildcards(t *testing.T) {
	t.Parallel()
	_, url := startNode(t, "--channels", `[{match: "chat/**", patterns: true}]`)
	p := runToEnd(t, "publish", "chat/**", "x", "--url", url)
	p.wantExit(exitFailure)
	p.awaitErr(`^comet: .*must not contain \*`)
	publishLines(t, "x\n", "chat/lobby", url)
	runToEnd(t, "subscribe", "chat/**", "--last", "1", "--count", "1", "--url", url).wantOut("chat/lobby: x\n")
	p = runToEnd(t, "subscribe", "news/*", "--url", url)
	p.wantExit(exitFailure)
	p.awaitErr(`add patterns: true to a rule under channels`)
}

// An outage of several tries is one line, and its end another.
func TestSubscribeOutage(t *testing.T) {
	t.Parallel()
	p := start(t, "subscribe", "news", "--url", deadURL)
	p.awaitErr(`^comet: no node listens at ` + deadURL + `; trying again until it works, Ctrl-C ends it\n$`)
	node, url := startNode(t)
	q := start(t, "subscribe", "news", "--cursor", "earliest", "--url", deadURL+","+url)
	q.awaitErr(`no node listens at ` + deadURL + `; .*\ncomet: connected\n$`)
	publishLines(t, "a\n", "news", url)
	q.awaitOut("a\n")
	node.wantLeave(syscall.SIGINT)
	q.awaitErr(`\ncomet: .*` + url + `.*; trying again`)
}
