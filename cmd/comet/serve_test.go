package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/pubsub/redistest"
)

func TestServeLeaves(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			node, url := startNode(t, "--node", "alone")
			events, ready := servertest.OpenStream(t, url+"/v1/events?channel=news")
			if ready.Node != "alone" {
				t.Errorf("the stream is served by %q", ready.Node)
			}
			node.wantLeave(signal)
			if bye := servertest.NextEvent(t, events); bye.Kind != wire.KindBye || bye.Reason != "shutdown" {
				t.Errorf("the stream got %+v, want comet.bye", bye)
			}
			if _, err := events.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("after comet.bye: %v", err)
			}
			node.awaitErr(`msg="node stopped" node=alone`)
		})
	}
}

// TestServeReloads checks that a node reads its settings again at SIGHUP. The path of
// the file has a link in it, so that the node does not notice the change by itself.
func TestServeReloads(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	link := filepath.Join(folder, "current")
	point := func(level string) {
		target := filepath.Join(folder, level)
		if err := errors.Join(
			os.Mkdir(target, 0o755),
			os.WriteFile(filepath.Join(target, "comet.yaml"), []byte("log: {level: "+level+"}\n"), 0o600),
			os.RemoveAll(link),
			os.Symlink(target, link),
		); err != nil {
			t.Fatal(err)
		}
	}
	point("info")
	node, url := startNode(t, "--config", filepath.Join(link, "comet.yaml"))
	point("debug")
	node.signal(syscall.SIGHUP)
	node.awaitErr(`msg="setting changed" .*setting=log.level from=info to=debug`)
	node.awaitErr(`msg="config reload finished" .*reason=SIGHUP changed=1 restart=0`)
	if r := servertest.Get(t, url+"/v1/channels/news/messages"); r.StatusCode != http.StatusOK {
		t.Errorf("after the reload: %s", r.Status)
	}
	node.wantLeave(syscall.SIGTERM)
}

// waysToSubscribe are subtests' names, and the flags.
var waysToSubscribe = map[string][]string{"stream": nil, "poll": {"--poll"}}

func TestServeTwoNodes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	_, here := startNode(t, "--redis", server.Addr())
	_, there := startNode(t, "--redis", server.Addr())
	for name, flags := range waysToSubscribe {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			channel := "numbers/" + name
			subscriber := start(t, append([]string{"subscribe", channel, "--url", there, "--cursor", "earliest", "--count", "100"}, flags...)...)
			publishLines(t, numbers(1, 1), channel, here)
			subscriber.awaitOut("1\n") // the rest comes live
			publishLines(t, numbers(2, 100), channel, here)
			subscriber.wantExit(exitOK)
			subscriber.wantOut(numbers(1, 100))
		})
	}
}

// TestServeNodeKilled kills the node of a subscriber.
func TestServeNodeKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, flags := range waysToSubscribe {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doomed, first := startNode(t, "--redis", server.Addr())
			_, second := startNode(t, "--redis", server.Addr())
			channel := "numbers/" + name
			subscriber := start(t, append([]string{"subscribe", channel, "--url", first, "--url", second, "--cursor", "earliest", "--count", "60"}, flags...)...)
			publishLines(t, numbers(1, 20), channel, second)
			subscriber.awaitOut("20\n")
			publishLines(t, numbers(21, 40), channel, second)
			doomed.signal(syscall.SIGKILL)
			if code := doomed.wait(); code != -1 {
				t.Fatalf("the node ended by itself, with exit code %d", code)
			}
			publishLines(t, numbers(41, 60), channel, second)
			subscriber.wantExit(exitOK)
			subscriber.wantOut(numbers(1, 60))
		})
	}
}

// publishLines publishes lines, in their order, with `comet publish`.
func publishLines(t testing.TB, lines, channel, url string) {
	t.Helper()
	p := setup{in: strings.NewReader(lines)}.runToEnd(t, "publish", channel, "--url", url)
	p.wantExit(exitOK)
}

// TestServeRedisAway starts a node before its Redis.
func TestServeRedisAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Stop()
	node, url := startNode(t, "--redis", server.Addr())
	node.awaitErr(`level=WARN msg="redis unavailable at start`)
	response := servertest.Send(t, http.MethodPost, url+"/v1/channels/news/messages")
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("a publish without Redis: %s, Retry-After %q", response.Status, response.Header.Get("Retry-After"))
	}
	publisher := start(t, "publish", "news", "patience", "--url", url)
	publisher.awaitErr(`the node answered 503 .*trying again`)
	server.Restart()
	publisher.wantExit(exitOK)
	subscriber := runToEnd(t, "subscribe", "news", "--url", url, "--cursor", "earliest", "--count", "1")
	subscriber.wantExit(exitOK)
	subscriber.wantOut("patience\n")
	node.wantLeave(syscall.SIGTERM)
}

// TestServeAtReplica starts a node whose address leads to a replica: it waits
// until that is a primary, and /readyz says so meanwhile.
func TestServeAtReplica(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("REPLICAOF", "127.0.0.1", "1")
	node, url, admin := startNodeWithAdmin(t, "--redis", server.Addr())
	node.awaitErr(`level=WARN msg="redis unavailable at start.*it is a replica`)
	awaitReadyz(t, admin, http.StatusServiceUnavailable, "it is a replica; waiting for the primary")
	server.Do("REPLICAOF", "NO", "ONE")
	awaitReadyz(t, admin, http.StatusOK, `"ready":true`)
	publishLines(t, "a\n", "news", url)
	node.wantLeave(syscall.SIGTERM)
}

// awaitReadyz asks until /readyz answers with the status and the part.
func awaitReadyz(t testing.TB, admin string, status int, part string) {
	t.Helper()
	late := time.After(deadline)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		r := servertest.Get(t, admin+"/readyz")
		body := servertest.Body(t, r)
		if r.StatusCode == status && strings.Contains(body, part) {
			return
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("/readyz says %s %s, want %d with %q", r.Status, body, status, part)
		}
	}
}
