package main

import (
	"net"
	"path/filepath"
	"testing"

	"comet/internal/servertest"
	"comet/pubsub/redistest"
)

// TestStartFails checks the errors that end the start. Each is one clear line.
func TestStartFails(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Password("right"))
	taken := listenAnywhere(t)
	directory := t.TempDir()
	const mistakes = `^comet: invalid configuration:\n`
	for name, test := range map[string]struct {
		args  []string
		file  string // for --config, if not empty
		lines int
		want  []string
	}{
		"port in use": {
			args:  []string{"serve", "--http-listen", taken},
			lines: 1, want: []string{`^comet: http\.listen: .*` + taken + `.*in use: set --http-listen to another address`},
		},
		"admin port in use": {
			args:  []string{"serve", "--http-listen", "127.0.0.1:0", "--admin-listen", taken},
			lines: 1, want: []string{`^comet: admin\.listen: .*` + taken + `.*in use: set --admin-listen .*or to '' `},
		},
		"port in use, demo": {
			args:  []string{"demo", "--listen", taken},
			lines: 1, want: []string{`^comet: --listen: .*` + taken + `.*in use: try another address, as in comet demo --listen `},
		},
		"no such file": {
			args:  []string{"serve", "--config", filepath.Join(directory, "missing.yaml")},
			lines: 2, want: []string{mistakes, `missing\.yaml: cannot be read: `},
		},
		"a directory for a file": {
			args:  []string{"serve", "--config", directory},
			lines: 2, want: []string{mistakes, `cannot be read: `},
		},
		"bad YAML": {
			args: []string{"serve"}, file: "http:\n\t- {",
			lines: 2, want: []string{mistakes, `comet\.yaml(:\d+)?: is not YAML near here: `},
		},
		"unknown key": {
			args: []string{"serve"}, file: "http:\n  lisen: 127.0.0.1:0\n",
			lines: 2, want: []string{mistakes, `comet\.yaml:2: http\.lisen: is not a setting; did you mean http\.listen\?`},
		},
		"several mistakes": {
			args: []string{"serve", "--history-size", "none"}, file: "http:\n  heartbeat: 5\nlimits: {mesage: 1}\n",
			lines: 4, want: []string{mistakes, `comet\.yaml:2: http\.heartbeat = "5": `, `comet\.yaml:3: limits\.mesage: .*limits\.message`, `--history-size: `},
		},
		"open to the network": {
			args:  []string{"serve", "--http-listen", "0.0.0.0:0"},
			lines: 2, want: []string{mistakes, `--http-listen: .*set auth\.anonymous\.subscribe`},
		},
		"demo, bad address": {
			args:  []string{"demo", "--listen", "nonsense", "--redis", "nonsense"},
			lines: 3, want: []string{mistakes, `(?m)^--listen: http\.listen = "nonsense": `, `(?m)^--redis: `},
		},
		"Redis without the password": {
			args:  []string{"serve", "--http-listen", "127.0.0.1:0", "--admin-listen", "", "--redis", server.Addr()},
			lines: 1, want: []string{`^comet: redis at .* cannot be used: .*set redis\.password`},
		},
		"Redis with a wrong password": {
			args:  []string{"serve", "--http-listen", "127.0.0.1:0", "--admin-listen", "", "--redis", server.Addr(), "--redis-password", "wrong"},
			lines: 1, want: []string{`^comet: redis at .* cannot be used: it does not accept redis\.username and redis\.password`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.file != "" {
				test.args = append(test.args, "--config", servertest.NewFile(t, test.file))
			}
			p := runToEnd(t, test.args...)
			p.wantExit(exitFailure)
			p.wantOut("")
			p.wantErrOut(test.lines, test.want...)
		})
	}
}

// listenAnywhere opens a listener until t ends and returns its address.
func listenAnywhere(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}
