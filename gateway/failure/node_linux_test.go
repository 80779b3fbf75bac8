package failure

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"comet/internal/testenv"
)

// patience bounds every wait.
const patience = testenv.Patience

// node is a `comet serve` at one address. It may be started again and again. Its
// methods are for the test's own goroutine.
type node struct {
	t       testing.TB
	name    string
	binary  string
	address string
	environ []string
	log     *os.File // of all its runs
	process *process // the newest run
}

// startNode starts a node with the settings environ in addition to those of the
// suite. t's cleanup ends it.
func startNode(t testing.TB, binary, name string, environ ...string) *node {
	t.Helper()
	log, err := os.Create(filepath.Join(t.ArtifactDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, name: name, binary: binary, address: freeAddress(t), log: log}
	n.environ = append(cleanEnviron(), "COMET_NODE="+name, "COMET_HTTP_LISTEN="+n.address,
		"COMET_HTTP_HEARTBEAT=1s", "COMET_REDIS_TIMEOUT="+redisTimeout.String(), "COMET_REDIS_INLINE=1KiB",
		"COMET_HISTORY_SIZE=1000000", "COMET_CHANNELS="+patternRules, "COMET_LOG_LEVEL=debug")
	n.environ = append(n.environ, environ...)
	t.Cleanup(func() {
		if n.process != nil {
			n.process.kill()
		}
		if t.Failed() {
			n.logTail()
		}
		_ = log.Close()
	})
	n.start()
	return n
}

// cleanEnviron returns the environment without Comet's settings.
func cleanEnviron() (environ []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "COMET_") {
			environ = append(environ, v)
		}
	}
	return environ
}

// freeAddress returns an address with a port below those that systems give to
// outgoing connections, so that it is still free when a node starts again.
func freeAddress(t testing.TB) string {
	t.Helper()
	const first, last = 10_000, 32_767
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first+1))
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

func (n *node) url() string { return "http://" + n.address }

// start starts the node and returns when it serves. In the middle of a failover
// Redis may refuse it: then start starts it again, like a service manager.
func (n *node) start() {
	n.t.Helper()
	late := time.Now().Add(patience)
	for time.Now().Before(late) {
		command := exec.Command(n.binary, "serve", "--admin-listen", "")
		command.Env, command.Stdout, command.Stderr = n.environ, n.log, n.log
		var err error
		if n.process, err = startProcess(command); err != nil {
			n.t.Fatalf("start %s: %v", n.name, err)
		}
		for !n.process.hasEnded() && time.Now().Before(late) {
			if n.answers() {
				return
			}
			pause(n.t.Context(), 10*time.Millisecond)
		}
		n.process.kill()
		pause(n.t.Context(), 100*time.Millisecond)
	}
	n.t.Fatalf("%s does not serve", n.name)
}

// answers asks the node for the chat page, which needs no Redis.
func (n *node) answers() bool {
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url(), nil)
	if err != nil {
		n.t.Fatal(err)
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.Body.Close() == nil
}

func (n *node) kill()   { n.process.kill() }
func (n *node) freeze() { n.process.signal(syscall.SIGSTOP) }
func (n *node) thaw()   { n.process.signal(syscall.SIGCONT) }

// leave ends the node with SIGTERM, like an operator.
func (n *node) leave() {
	n.process.signal(syscall.SIGTERM)
	select {
	case <-n.process.ended:
	case <-time.After(patience):
		n.t.Errorf("%s does not leave", n.name)
		n.process.kill()
	}
}

// logTail logs the end of the node's log; -artifacts keeps all of it.
func (n *node) logTail() {
	const lines = 60
	text, err := os.ReadFile(n.log.Name())
	if err != nil {
		n.t.Log(err)
	}
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	n.t.Logf("the end of the log of %s:\n%s", n.name, bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}
