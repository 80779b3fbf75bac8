// The tests use comet.js with Node and with Chromium, against nodes that are
// processes, on a real Redis, behind a proxy that does what proxies do.

package cometjs

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	_ "comet/gateway" // the nodes are made of it: a change there must run these tests
	"comet/internal/testenv"
	"comet/pubsub/redistest"
)

// programs is the folder of the built programs.
var programs string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "cometjs"); err != nil {
		log.Fatal(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(programs); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	}))
}

// build builds the program of the nodes, once for all tests.
var build = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(programs, "comet")
	if output, err := exec.Command("go", "build", "-o", binary, "comet/cmd/comet").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build comet: %w\n%s", err, output)
	}
	return binary, nil
})

// patience bounds every wait of the tests.
const patience = testenv.Patience

// secret signs the tokens of the tests.
const secret = "the secret that the tests of comet.js sign with"

// cluster is two nodes with a front as their load balancer.
type cluster struct {
	t      *testing.T
	binary string
	dir    string
	redis  *redistest.Server
	nodes  []*node
	front  *front
	url    string // of the front
}

// node is a node that can be killed and started again.
type node struct {
	name, address, admin string
	command              *exec.Cmd // nil: not running
	ended                <-chan struct{}
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	w := &cluster{t: t, dir: t.TempDir(), redis: redistest.Start(t, redistest.Persist)}
	var err error
	if w.binary, err = build(); err != nil {
		t.Fatal(err)
	}
	// Reading them tells the go command that the test's result depends on them.
	for _, name := range []string{"comet.js", "comet.test.js", "src/events.js"} {
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(w.dir, "secret"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		n := &node{name: fmt.Sprint("node-", i+1), address: freeAddress(t), admin: freeAddress(t)}
		w.nodes = append(w.nodes, n)
		w.start(n)
	}
	t.Cleanup(func() {
		for _, n := range w.nodes {
			w.kill(n)
		}
	})
	w.front = newFront(w)
	server := httptest.NewServer(w.front)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	w.url = server.URL
	return w
}

// freeAddress returns an address without a listener.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts a node and waits until it is ready.
func (w *cluster) start(n *node) {
	n.command = exec.Command(w.binary, "serve",
		"--node", n.name, "--redis", w.redis.Addr(), "--http-listen", n.address, "--admin-listen", n.admin,
		"--auth-anonymous-subscribe", "open/**,*", "--auth-anonymous-publish", "open/**,*",
		"--auth-jwt-algorithms", "HS256", "--auth-jwt-secret-file", filepath.Join(w.dir, "secret"), "--auth-jwt-leeway", "1s",
		"--channels", `[{match: "open/orders/**", patterns: true}]`, "--history-size", "10000", "--drain-delay", "0s", "--drain-spread", "0s")
	n.command.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "COMET_") }) // of the tests, or the machine
	n.command.Stderr = w.t.Output()
	var err error
	if n.ended, err = testenv.StartProcess(n.command); err != nil {
		w.t.Error(err)
		n.command = nil
		return
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if res, err := client.Get("http://" + n.admin + "/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
	}
	w.t.Errorf("%s is not ready", n.name)
}

// kill ends a node at once, without a drain.
func (w *cluster) kill(n *node) {
	if n.command != nil {
		_ = n.command.Process.Kill()
		<-n.ended
		n.command = nil
	}
}

// leave ends a node like an operator, so that it drains.
func (w *cluster) leave(n *node) {
	if n.command != nil {
		_ = n.command.Process.Signal(os.Interrupt)
		<-n.ended
		if !n.command.ProcessState.Success() {
			w.t.Errorf("%s: %v", n.name, n.command.ProcessState)
		}
		n.command = nil
	}
}

// token is for a user who may do everything in private channels. It says that it
// is issued ahead of now.
func token(user string, ahead, life time.Duration) (string, error) {
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user, "iat": now.Add(ahead).Unix(), "exp": now.Add(life).Unix(), "jti": fmt.Sprint(now.UnixNano()),
		"comet": map[string]any{"subscribe": []string{"private/**"}, "publish": []string{"private/**"}},
	}).SignedString([]byte(secret))
}

// revokeUser ends the user's sessions.
func (w *cluster) revokeUser(ctx context.Context, user string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, "http://"+w.nodes[0].admin+"/v1/users/"+user+"/sessions", strings.NewReader(""))
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("throw %s out: %s", user, res.Status)
	}
	return nil
}
