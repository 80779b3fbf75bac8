package main

import (
	"regexp"
	"strings"
	"testing"

	"comet/internal/servertest"
)

// TestConfigPrint has a setting from each source.
func TestConfigPrint(t *testing.T) {
	t.Parallel()
	file := servertest.NewFile(t, `
history: {size: 1, ttl: 1h}
limits: {wait: 1s}
redis: {addresses: ["127.0.0.1:1"], password: hush}
`)
	environ := []string{"COMET_LIMITS_WAIT=2s", "COMET_HISTORY_TTL=2h", configVariable + "=" + file, urlVariable + "=http://elsewhere"}
	p := setup{environ: environ}.runToEnd(t, "config", "print", "--history-ttl", "3h")
	p.wantExit(exitOK)
	p.wantErrOut(0)
	for _, want := range []string{
		`(?m)^  listen: "?127\.0\.0\.1:8080"?  # default$`,
		`(?m)^  size: 1  # .*comet\.yaml:2$`,
		`(?m)^  wait: 2s  # COMET_LIMITS_WAIT$`,
		`(?m)^  ttl: 3h(0m0s)?  # --history-ttl$`,
		`(?m)^  # password: .+comet\.yaml:4$`,
	} {
		if !regexp.MustCompile(want).MatchString(p.out.String()) {
			t.Errorf("no match of %q", want)
		}
	}
	if strings.Contains(p.out.String(), "hush") {
		t.Error("the password was printed")
	}

	// The output is a file with the same meaning, without the secret.
	again := runToEnd(t, "config", "print", "--config", servertest.NewFile(t, p.out.String()), "--redis-password", "hush")
	again.wantExit(exitOK)
	if got, want := settingsOf(again), settingsOf(p); got != want {
		t.Errorf("printed again:\n%s\nwant:\n%s", got, want)
	}
}

var origin = regexp.MustCompile(`(?m)  # \S+$`)

// settingsOf returns the output of config print without origins.
func settingsOf(p *process) string { return origin.ReplaceAllString(p.out.String(), "") }

func TestConfigCheck(t *testing.T) {
	t.Parallel()
	fine := runToEnd(t, "config", "check", "--config", servertest.NewFile(t, "node: n\n"))
	fine.wantExit(exitOK)
	fine.wantOut("The settings are valid.\n")
	wrong := setup{environ: []string{"COMET_NODES=n"}}.runToEnd(t, "config", "check", "--redis-db", "-1")
	wrong.wantExit(exitFailure)
	wrong.wantOut("")
	wrong.wantErrOut(3, `COMET_NODES.*COMET_NODE\?`, `--redis-db: `)
}

func TestVersion(t *testing.T) {
	t.Parallel()
	p := runToEnd(t, "version")
	p.wantExit(exitOK)
	p.awaitOut(`^comet devel.* go1\.\S+ \w+/\w+\n$`)
}

// TestConfigExample: the example is a file of settings, whatever flags stand beside it.
func TestConfigExample(t *testing.T) {
	t.Parallel()
	p := runToEnd(t, "config", "print", "--example")
	p.wantExit(exitOK)
	p.wantErrOut(0)
	check := runToEnd(t, "config", "check", "--config", servertest.NewFile(t, p.out.String()))
	check.wantExit(exitOK)
}
