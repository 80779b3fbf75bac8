package clienttest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	_ "comet/gateway" // the nodes are made of it: a change there must run these tests
	"comet/internal/testenv"
	"comet/pubsub/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testenv.IgnoreRedisProbe()) }

// patience bounds every wait, so that no test hangs.
const patience = testenv.Patience

// nodes are two processes on one Redis.
type nodes struct {
	t         *testing.T
	addresses []string
}

// origin is where the pages are that may call the nodes.
func startNodes(t *testing.T, origin string) *nodes {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "comet")
	build(t, ".", binary, "comet/cmd/comet")
	redis := redistest.Start(t)
	n := &nodes{t: t}
	for i := range 2 {
		n.addresses = append(n.addresses, freeAddress(t))
		admin := freeAddress(t)
		command := exec.Command(binary, "serve", "--node", fmt.Sprint("node-", i+1), "--redis", redis.Addr(),
			"--http-listen", n.addresses[i], "--admin-listen", admin, "--http-heartbeat", "1s",
			"--http-cors-origins", origin, "--limits-message", "1MiB", "--log-level", "warn")
		command.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "COMET_") })
		start(t, command)
		awaitReady(t, "http://"+admin+"/readyz")
	}
	return n
}

// build builds a Go program.
func build(t *testing.T, dir, binary, name string) {
	t.Helper()
	command := exec.Command("go", "build", "-o", binary, name)
	command.Dir = dir
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, output)
	}
}

// start runs command until the test ends.
func start(t *testing.T, command *exec.Cmd) {
	t.Helper()
	command.Stderr = t.Output()
	end, err := testenv.StartProcess(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		testenv.KillProcess(command)
		<-end
	})
}

// awaitReady waits until url answers 200.
func awaitReady(t *testing.T, url string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(patience); time.Now().Before(late); <-tick.C {
		if res, err := plainHTTP.Get(url); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
	}
	t.Fatalf("%s is not ready", url)
}

// plainHTTP keeps no connections, which would look like goroutines that are left.
var plainHTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// publish publishes text by the i-th node.
func (n *nodes) publish(i int, channel, text string) error {
	res, err := plainHTTP.Post("http://"+n.addresses[i]+"/v1/channels/"+channel+"/messages", "text/plain", strings.NewReader(text))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		return fmt.Errorf("publish to %s: %s", channel, res.Status)
	}
	return nil
}

// freeAddress returns an address without a listener.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// npm installs the packages, at the versions of package-lock.json, and returns
// the folder that has node_modules.
func npm(t *testing.T) (dir string) {
	t.Helper()
	program := testenv.Program(t, "npm")
	dir = t.TempDir()
	for _, name := range []string{".npmrc", "package.json", "package-lock.json"} {
		text, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command(program, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	command.Dir = dir
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, output)
	}
	return dir
}
