package test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const redisPassword = "0123456789abcdef"

// pods runs the scripts of an overlay as Kubernetes would, each in a mount
// namespace of its own: with its host name, its address, /data and /scripts.
type pods struct {
	t       *testing.T
	folder  string
	scripts string
	network string // the first three numbers of all addresses
	number  map[string]int
	running map[string]*exec.Cmd
}

// newPods skips the test where it may not do so.
func newPods(t *testing.T, overlay, network string, names ...string) *pods {
	t.Helper()
	for _, name := range []string{"redis-server", "redis-cli", "unshare"} {
		program(t, name)
	}
	if err := exec.Command("unshare", "--mount", "--uts", "true").Run(); err != nil {
		t.Skipf("namespaces need root: %v", err)
	}
	scripts, err := filepath.Abs("../overlays/" + overlay)
	if err != nil {
		t.Fatal(err)
	}
	p := &pods{t: t, folder: t.TempDir(), scripts: scripts, network: network, number: map[string]int{}, running: map[string]*exec.Cmd{}}
	for i, name := range names {
		p.number[name] = i + 1
	}
	p.writeHosts()
	if err := os.CopyFS(filepath.Join(p.folder, "bin"), os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for name := range p.running {
			p.kill(name)
		}
	})
	return p
}

func (p *pods) address(name string) string { return fmt.Sprintf("%s.%d", p.network, p.number[name]) }

// writeHosts is the cluster's DNS: NAME-0.NAME.
func (p *pods) writeHosts() {
	text := "127.0.0.1 localhost\n"
	for name := range p.number {
		text += fmt.Sprintf("%s %s.%s\n", p.address(name), name, name[:strings.LastIndexByte(name, '-')])
	}
	if err := os.WriteFile(filepath.Join(p.folder, "hosts"), []byte(text), fs.FileMode(0o644)); err != nil {
		p.t.Fatal(err)
	}
}

// command is a script in the pod of that name.
func (p *pods) command(ctx context.Context, name, script string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(p.folder, "bin", "pod.sh"), p.folder, name, p.address(name), p.scripts, "sh", "/scripts/"+script)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "REDISCLI_AUTH=" + redisPassword}
	return c
}

// start starts a server; its log is shown if the test fails.
func (p *pods) start(name, script string) {
	p.t.Helper()
	log, err := os.CreateTemp(p.folder, name)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	c := p.command(context.Background(), name, script)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.running[name] = c
}

// kill is the sudden end of a pod. Its disk stays.
func (p *pods) kill(name string) {
	c := p.running[name]
	delete(p.running, name)
	_ = c.Process.Kill() // all of it: the shells have become the server
	_ = c.Wait()
}

// ask is what a Redis or Sentinel answers, without line ends.
func (p *pods) ask(name, port string, words ...string) string {
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, "redis-cli", append([]string{"-c", "-h", p.address(name), "-p", port}, words...)...)
	c.Env = []string{"REDISCLI_AUTH=" + redisPassword}
	output, err := c.Output()
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(output)), " ")
}

// await waits until something holds.
func (p *pods) await(what string, holds func() bool) {
	p.t.Helper()
	late := time.After(time.Minute)
	ticks := time.NewTicker(200 * time.Millisecond)
	defer ticks.Stop()
	for !holds() {
		select {
		case <-ticks.C:
		case <-late:
			p.logs()
			p.t.Fatalf("%s: it does not come to be", what)
		}
	}
}

func (p *pods) logs() {
	for name := range p.number {
		files, _ := filepath.Glob(filepath.Join(p.folder, name+"*")) // fails for a bad pattern alone
		for _, file := range files {
			text, _ := os.ReadFile(file)
			p.t.Logf("%s:\n%s", name, text[max(0, len(text)-1500):])
		}
	}
}
