package main

import (
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"comet/internal/servertest"
)

// TestRevocationsSurviveRestart checks that a node without Redis that is killed right
// after a revocation still knows it after a restart.
func TestRevocationsSurviveRestart(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for name, s := range map[string]struct {
		environ, args []string
		file          string
	}{
		"named": {nil, []string{"--auth-revocations-file", filepath.Join(state, "named", "file")}, "named/file"},
		"auto":  {[]string{"STATE_DIRECTORY=", "XDG_STATE_HOME=" + state}, []string{"--http-listen", address}, "comet/revocations-*.jsonl"},
	} {
		args := servertest.GuardedFlags(t, append(s.args, "--admin-listen", "127.0.0.1:0")...)
		begin := func() (p *process, url, admin string) {
			p, url = setup{environ: s.environ}.startNode(t, args...)
			return p, url, p.awaitErr(`msg=serving .*admin=(\S+)`)[1]
		}
		old := servertest.Token(t, "alice", -time.Second)
		p, url, admin := begin()
		if r := servertest.Ask(t, http.MethodPost, url+servertest.News, "1", servertest.Bearer(old)...); r.StatusCode != http.StatusCreated {
			t.Fatalf("%s: before: %s", name, r.Status)
		}
		if r := servertest.Ask(t, http.MethodDelete, admin+"/v1/users/alice/sessions", ""); r.StatusCode != http.StatusNoContent {
			t.Fatalf("%s: revoked: %s", name, r.Status)
		}
		if err := p.command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		p.wait()
		_, url, _ = begin()
		if r := servertest.Ask(t, http.MethodPost, url+servertest.News, "1", servertest.Bearer(old)...); r.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: after a restart: %s", name, r.Status)
		}
		if r := servertest.Ask(t, http.MethodPost, url+servertest.News, "1", servertest.Bearer(servertest.Token(t, "bob", -time.Second))...); r.StatusCode != http.StatusCreated {
			t.Errorf("%s: another user after a restart: %s", name, r.Status)
		}
		if found, err := filepath.Glob(filepath.Join(state, s.file)); err != nil || len(found) != 1 {
			t.Errorf("%s: files %v, %v", name, found, err)
		}
	}
}

// TestRevocationsFileThatCannotBe checks that a node that cannot write the default
// file warns and serves, and that one that cannot write the file in its settings
// does not start.
func TestRevocationsFileThatCannotBe(t *testing.T) {
	t.Parallel()
	file := servertest.NewFile(t, "")
	setup{environ: []string{"STATE_DIRECTORY=" + file}}.start(t, append([]string{"serve", "--http-listen", "127.0.0.1:65431", "--admin-listen", ""}, servertest.GuardedFlags(t)...)...).
		awaitErr(`level=WARN msg="revocations are in memory only; a restart loses them"`)
	p := setup{}.start(t, append([]string{"serve", "--http-listen", "127.0.0.1:0", "--admin-listen", "", "--auth-revocations-file", filepath.Join(file, "x")}, servertest.GuardedFlags(t)...)...)
	if code := p.wait(); code == exitOK {
		t.Error("a node started without the file that is set")
	}
}
