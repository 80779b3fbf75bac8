package test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const deadline = 30 * time.Second

// binary is the path of comet, built once.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("comet-k8s-test-%d", os.Getpid()))
	c := exec.Command("go", "build", "-o", path, "./cmd/comet")
	c.Dir = "../.."
	if output, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.Remove(path)
	}
	if root, err := manifests(); err == nil {
		_ = os.RemoveAll(root)
	}
	os.Exit(code)
}

// node is a container of Comet as its pod would run it.
type node struct {
	container *corev1.Container
	grace     int64 // seconds
	environ   []string
	args      []string // with the file of the ConfigMap in place
	settings  struct {
		HTTP, Admin struct{ Listen string }
		Drain       struct{ Delay, Spread string }
	}
}

func nodeOf(t *testing.T, all objects) *node {
	t.Helper()
	pod := named[*appsv1.Deployment](t, all, "comet").Spec.Template.Spec
	n := &node{container: &pod.Containers[0], grace: *pod.TerminationGracePeriodSeconds}
	text := named[*corev1.ConfigMap](t, all, "comet").Data["comet.yaml"]
	if err := yaml.Unmarshal([]byte(text), &n.settings); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "comet.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, arg := range n.container.Args {
		n.args = append(n.args, strings.Replace(arg, "/etc/comet/comet.yaml", file, 1))
	}
	n.environ = []string{"PATH=" + os.Getenv("PATH"), "KUBERNETES_SERVICE_HOST=10.0.0.1"}
	for _, from := range n.container.EnvFrom {
		for name, value := range named[*corev1.Secret](t, all, withoutHash(from.SecretRef.Name)).Data {
			n.environ = append(n.environ, name+"="+string(value))
		}
	}
	for _, e := range n.container.Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			r := e.ValueFrom.SecretKeyRef
			n.environ = append(n.environ, e.Name+"="+string(named[*corev1.Secret](t, all, withoutHash(r.Name)).Data[r.Key]))
		}
	}
	return n
}

// fill puts real values in place of the placeholders.
func (n *node) fill() {
	for i, v := range n.environ {
		n.environ[i] = strings.ReplaceAll(strings.Replace(v, "REPLACE-ME:6379", "127.0.0.1:1", 1), "REPLACE-ME", "0123456789abcdef0123456789abcdef")
	}
}

// command runs comet with args and the node's environment.
func (n *node) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, path, args...)
	c.Env = n.environ
	return c
}

// TestPlaceholders checks that a node does not start with the secrets of this repository.
func TestPlaceholders(t *testing.T) {
	for _, folder := range withNodes {
		if folder == "overlays/dev" {
			continue // has values that say what they are for
		}
		n := nodeOf(t, kustomize(t, folder))
		output, err := n.command(t, n.args...).CombinedOutput()
		if err == nil {
			t.Errorf("%s: it starts", folder)
		}
		for _, v := range n.environ {
			name, value, _ := strings.Cut(v, "=")
			if strings.Contains(value, "REPLACE-ME") && !regexp.MustCompile(`(?m)^`+name+`: .*REPLACE-ME: write the real value`).Match(output) {
				t.Errorf("%s: no line names %s:\n%s", folder, name, output)
			}
		}
		if lines := strings.Count(string(output), "\n"); lines > 1+strings.Count(strings.Join(n.environ, " "), "REPLACE-ME") {
			t.Errorf("%s: more than the placeholders is wrong:\n%s", folder, output)
		}
	}
}

// TestNodesWantRedis: a node whose Secret lacks the address of Redis does not start with
// a broker of its own.
func TestNodesWantRedis(t *testing.T) {
	for _, folder := range withNodes {
		n := nodeOf(t, kustomize(t, folder))
		n.fill()
		n.environ = slices.DeleteFunc(n.environ, func(v string) bool { return strings.HasPrefix(v, "COMET_REDIS_") })
		output, err := n.command(t, append(n.args, "--redis-addresses=")...).CombinedOutput()
		if err == nil || !strings.Contains(string(output), "redis.required") {
			t.Errorf("%s: %v: %s", folder, err, output)
		}
	}
}

// TestNodes: with real values a node starts, and what the pod says of it is so.
func TestNodes(t *testing.T) {
	sets := map[string]objects{"chart": helm(t, "comet", nil)}
	for _, folder := range withNodes {
		sets[folder] = kustomize(t, folder)
	}
	for set, all := range sets {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			n := nodeOf(t, all)
			n.fill()
			if output, err := n.command(t, "config", "check", "--config", n.args[2]).CombinedOutput(); err != nil {
				t.Fatalf("config check: %v: %s", err, output)
			}
			n.checkPorts(t)
			n.checkGrace(t)
			admin := n.serve(t)
			for _, p := range probes(n.container) {
				if got, want := status(t, admin+p.HTTPGet.Path), map[string]int{"/healthz": 200, "/readyz": 503}[p.HTTPGet.Path]; got != want {
					t.Errorf("%s answers %d without Redis, want %d", p.HTTPGet.Path, got, want)
				}
			}
		})
	}
}

// program is the path of a program. Where it is missing the test is skipped, or
// fails under `make test-all`.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("COMET_TEST_ALL") != "" {
		t.Fatal(err)
	} else if err != nil {
		t.Skip(err)
	}
	return path
}

// TestReady: with Redis it is ready.
func TestReady(t *testing.T) {
	server := program(t, "redis-server")
	socket := filepath.Join(t.TempDir(), "redis.sock")
	redis := exec.CommandContext(t.Context(), server, "--port", "0", "--unixsocket", socket, "--save", "", "--requirepass", "0123456789abcdef0123456789abcdef")
	if err := redis.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = redis.Process.Kill()
		_ = redis.Wait()
	})
	n := nodeOf(t, kustomize(t, "base"))
	n.fill()
	n.environ = append(n.environ, "COMET_REDIS_ADDRESSES="+socket)
	admin := n.serve(t)
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for late := time.After(deadline); status(t, admin+"/readyz") != http.StatusOK; {
		select {
		case <-ticks.C:
		case <-late:
			t.Fatal("the node does not become ready")
		}
	}
}

// checkPorts: the node listens on what the pod says.
func (n *node) checkPorts(t *testing.T) {
	t.Helper()
	for name, listen := range map[string]string{"http": n.settings.HTTP.Listen, "admin": n.settings.Admin.Listen} {
		for _, p := range n.container.Ports {
			if want := fmt.Sprintf(":%d", p.ContainerPort); p.Name == name && listen != want {
				t.Errorf("the node listens on %s, and its pod has %s for %s", listen, want, name)
			}
		}
	}
}

// checkGrace: the node may leave as slowly as it is set to.
func (n *node) checkGrace(t *testing.T) {
	t.Helper()
	delay, err := time.ParseDuration(n.settings.Drain.Delay)
	if err != nil {
		t.Fatal(err)
	}
	spread, err := time.ParseDuration(n.settings.Drain.Spread)
	if err != nil {
		t.Fatal(err)
	}
	if grace := time.Duration(n.grace) * time.Second; grace <= delay+spread+10*time.Second {
		t.Errorf("the node is killed after %v, and takes %v to leave", grace, delay+spread+10*time.Second)
	}
}

// serve starts the node, on other ports, and returns where its admin listener is.
func (n *node) serve(t *testing.T) (admin string) {
	t.Helper()
	c := n.command(t, append(n.args, "--http-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "text")...)
	log, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	var lines strings.Builder
	for s := bufio.NewScanner(log); s.Scan(); {
		fmt.Fprintln(&lines, s.Text())
		if match := regexp.MustCompile(`msg=serving .*admin=(\S+)`).FindStringSubmatch(s.Text()); match != nil {
			go func() { // so that the node can write on; ends with it
				for s.Scan() {
				}
			}()
			return match[1]
		}
	}
	t.Fatalf("the node does not serve:\n%s", &lines)
	return ""
}

func status(t *testing.T, url string) int {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	return r.StatusCode
}
