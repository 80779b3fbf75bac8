package server

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comet/config"
	"comet/gateway/wire"
	"comet/internal/servertest"
)

// TestReloadTable compares the table of docs/operations.md with the settings.
func TestReloadTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begins := strings.Cut(string(text), "<!-- reload -->\n")
	table, _, ends := strings.Cut(rest, "<!-- /reload -->")
	if want := config.ReloadTable(); !begins || !ends || table != want {
		t.Errorf("docs/operations.md has not this table, of config.ReloadTable, between <!-- reload --> and <!-- /reload -->:\n%s", want)
	}
}

// wantStatus publishes that number of bytes.
func wantStatus(t testing.TB, what, url string, bytes, status int, header ...string) {
	t.Helper()
	if r := servertest.Ask(t, http.MethodPost, url+servertest.News, strings.Repeat("x", bytes), header...); r.StatusCode != status {
		t.Errorf("%s: a publish of %d bytes: %s, want %d\n%s", what, bytes, r.Status, status, servertest.Body(t, r))
	}
}

// A node takes from its changed file what it can, says what it took and what
// not, and goes on as before where the file is wrong.
func TestReloadFile(t *testing.T) {
	t.Parallel()
	files := servertest.NewVolume(t, "limits: {message: 1KiB}\nlog: {level: warn}\n")
	node, url, admin := startNodeWithAdmin(t, "--log-level", "info", "--config", files.File())
	wantStatus(t, "at first", url, 500, http.StatusCreated)

	files.Swap(`
limits: {message: 100B}
http: {cors: {origins: ["https://a.example"]}, heartbeat: 20s}
log: {level: debug}
drain: {delay: 1s}
`)
	node.awaitLog(`level=WARN msg="setting changed; restart required" node=\S+ setting=http.heartbeat\n`)
	node.awaitLog(`level=INFO msg="setting changed" node=\S+ setting=http.cors.origins from="" to=https://a.example\n`)
	node.awaitLog(`level=INFO msg="setting changed" node=\S+ setting=limits.message from=1KiB to=100B\n`)
	node.awaitLog(`level=INFO msg="config reload finished" node=\S+ reason="a file changed" changed=2 restart=1\n`)
	wantStatus(t, "limit lowered", url, 500, http.StatusRequestEntityTooLarge)
	for _, path := range []string{"/v1/events?channel=news", "/v1/poll?channel=news&wait=0"} {
		r := servertest.Ask(t, http.MethodGet, url+path, "", "Origin", "https://a.example")
		if got := r.Header.Get("Access-Control-Allow-Origin"); got != "https://a.example" {
			t.Errorf("%s: origin %q may read", path, got)
		}
	}

	files.Swap("limits: {message: 1GiB}\nlimit: {message: 1KiB}\n")
	node.awaitLog(`level=ERROR msg="config reload failed; keeping the current settings" .*limits.message`)
	node.awaitLog(`level=ERROR msg="config reload failed; keeping the current settings" .*did you mean limits.message`)
	wantStatus(t, "a file with mistakes", url, 500, http.StatusRequestEntityTooLarge)

	// A flag wins over the file, and an operator over both until they change.
	if body := servertest.Body(t, servertest.Ask(t, http.MethodPut, admin+"/v1/log", `{"level": "debug"}`)); body != "{\"level\":\"debug\"}\n" {
		t.Errorf("log level: %s", body)
	}
	files.Swap("limits: {message: 2KiB}\nlog: {level: error}\n")
	node.awaitLog(`setting=limits.message from=100B to=2KiB\n`)
	node.awaitLog(`reason="a file changed" changed=2 restart=0\n`)
	wantStatus(t, "fixed", url, 2000, http.StatusCreated)
	if body := servertest.Body(t, servertest.Get(t, admin+"/v1/log")); body != "{\"level\":\"debug\"}\n" {
		t.Errorf("log level after the file changed: %s", body)
	}
	node.wantLeave()
}

// SIGHUP has a node read what it could not see change: here a link to a folder
// is swapped, far from the file.
func TestReloadHangup(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(version, level, keys string) (path string) {
		path = filepath.Join(folder, version)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{"comet.yaml": "log: {level: " + level + "}\nauth: {keys_file: " + filepath.Join(folder, "current", "keys") + "}\n", "keys": keys} {
			if err := os.WriteFile(filepath.Join(path, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	link := filepath.Join(folder, "current")
	if err := os.Symlink(write("1", "info", "backend:"+servertest.BackendKey+"\nother:"+servertest.JWTSecret+"\n"), link); err != nil {
		t.Fatal(err)
	}
	node, url := startNode(t, "--config", filepath.Join(folder, "current", "comet.yaml"))
	wantStatus(t, "at first", url, 1, http.StatusCreated, servertest.Bearer(servertest.BackendKey)...)
	events := streamOf(t, servertest.Ask(t, http.MethodGet, url+"/v1/events?channel=news", "", servertest.Bearer(servertest.BackendKey)...))

	next := write("2", "debug", "other:"+servertest.JWTSecret+"\n")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(next, link); err != nil {
		t.Fatal(err)
	}
	node.Reload("SIGHUP")
	node.awaitLog(`msg="setting changed" node=\S+ setting=log.level from=info to=debug\n`)
	node.awaitLog(`msg="setting file changed" node=\S+ setting=auth.keys_file\n`)
	node.awaitLog(`msg="config reload finished" node=\S+ reason=SIGHUP changed=2 restart=0\n`)
	wantStatus(t, "revoked", url, 1, http.StatusUnauthorized, servertest.Bearer(servertest.BackendKey)...)
	wantStatus(t, "the other key", url, 1, http.StatusCreated, servertest.Bearer(servertest.JWTSecret)...)
	node.awaitLog(`level=DEBUG msg="request refused" .*problem=credential-unknown-key .*trace_id=[0-9a-f]{32}`)
	if e := servertest.NextEvent(t, events); e.Kind != wire.KindMessage {
		t.Errorf("a stream that was open got %+v", e)
	}
	node.Reload("SIGHUP")
	node.awaitLog(`reason=SIGHUP changed=0 restart=0\n`)
	keys := filepath.Join(next, "keys") // from here on it is watched where it is now
	if err := os.WriteFile(keys, []byte("other:"+servertest.JWTSecret+"\nbackend:"+servertest.BackendKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	node.awaitLog(`reason="a file changed" changed=1 restart=0\n`)
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	node.Reload("SIGHUP")
	node.awaitLog(`level=ERROR msg="config reload failed; keeping the current settings" .*cannot be read`)
	wantStatus(t, "without a file", url, 1, http.StatusCreated, servertest.Bearer(servertest.JWTSecret)...)
	node.wantLeave()
}

// A secret of tokens is replaced in the file that a setting names.
func TestReloadTokens(t *testing.T) {
	t.Parallel()
	secrets := servertest.NewFile(t, strings.Repeat("an older secret ", 4)+"\n")
	node, url := startNode(t, "--auth-jwt-algorithms", "HS256", "--auth-jwt-secret-file", secrets, "--auth-jwt-leeway", "5s")
	token := servertest.Bearer(servertest.Token(t, "alice", 0))
	wantStatus(t, "before", url, 1, http.StatusUnauthorized, token...)
	replace := func(content string) {
		t.Helper()
		next := filepath.Join(filepath.Dir(secrets), "next")
		if err := errors.Join(os.WriteFile(next, []byte(content), 0o600), os.Rename(next, secrets)); err != nil {
			t.Fatal(err)
		}
	}
	replace(servertest.JWTSecret + "\n")
	node.awaitLog(`msg="setting file changed" node=\S+ setting=auth.jwt.secret_file\n.*changed=1 restart=0\n`)
	wantStatus(t, "after", url, 1, http.StatusCreated, token...)
	replace("short\n")
	node.awaitLog(`level=ERROR msg="config reload failed; keeping the current settings" .*auth.jwt.secret_file: .*too short`)
	wantStatus(t, "a bad file", url, 1, http.StatusCreated, token...)
	node.wantLeave()
}

// Streams that are over a lowered limit stay, and count. Metrics go by the limits
// of the moment, and count on.
func TestReloadConnections(t *testing.T) {
	t.Parallel()
	files := servertest.NewVolume(t, "limits: {address_connections: 2, connections: 0}\n")
	node, url, admin := startNodeWithAdmin(t, "--config", files.File())
	var streams []*wire.Reader
	for range 2 {
		streams = append(streams, streamOf(t, servertest.Ask(t, http.MethodGet, url+"/v1/events?channel=news", "")))
	}
	files.Swap("limits: {address_connections: 1}\n")
	node.awaitLog(`setting=limits.address_connections from=2 to=1\n`)
	if r := servertest.Ask(t, http.MethodGet, url+"/v1/events?channel=news", ""); r.StatusCode != http.StatusTooManyRequests {
		t.Errorf("over the limit: %s", r.Status)
	}
	wantStatus(t, "to both", url, 1, http.StatusCreated)
	for _, s := range streams {
		if e := servertest.NextEvent(t, s); e.Kind != wire.KindMessage {
			t.Errorf("a stream that was open got %+v", e)
		}
	}
	files.Swap("limits: {address_connections: 0, connections: 7}\n")
	node.awaitLog(`setting=limits.address_connections from=1 to=0\n`)
	now := samplesOf(t, servertest.Get(t, admin+"/metrics").Body)
	if most, hits := now[`comet_connections_limit{reason="limit"}`], now[`comet_limit_hits_total{limit="address-connections"}`]; most != 7 || hits != 1 {
		t.Errorf("metrics have a limit of %v connections, and %v hits; want 7 and 1", most, hits)
	}
	servertest.OpenStream(t, url+"/v1/events?channel=news")
	node.wantLeave() // those of before are counted out of what they were counted in
}

// streamOf is the events of a stream that begins well.
func streamOf(t testing.TB, r *http.Response) *wire.Reader {
	t.Helper()
	events := wire.NewReader(r.Body, wire.SSE)
	if e := servertest.NextEvent(t, events); e.Kind != wire.KindReady {
		t.Fatalf("%s: the stream begins with %+v", r.Status, e)
	}
	return events
}
