// Package recipes runs the recipes as they stand in their files, against a node
// on a real Redis.
package recipes

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"comet/gateway"
	"comet/gateway/web/browsertest"
	"comet/internal/testenv"
	"comet/pubsub"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = testenv.Patience

// kitchen is a node, and the blocks of one recipe.
type kitchen struct {
	t      *testing.T
	dir    string // for the scripts
	url    string // of the node
	redis  string // its socket
	page   string // what is served at /recipe
	blocks map[string][]string
}

var block = regexp.MustCompile("(?ms)^```(\\w+)\\n(.*?)^```$")

// cook reads a recipe that needs programs, and starts a node.
func cook(t *testing.T, recipe string, programs ...string) *kitchen {
	t.Helper()
	t.Parallel()
	for _, program := range programs {
		testenv.Program(t, program)
	}
	text, err := os.ReadFile(recipe)
	if err != nil {
		t.Fatal(err)
	}
	k := &kitchen{t: t, dir: t.TempDir(), blocks: make(map[string][]string)}
	k.serve()
	for _, found := range block.FindAllStringSubmatch(string(text), -1) {
		k.blocks[found[1]] = append(k.blocks[found[1]], k.atHome(found[2]))
	}
	return k
}

// atHome puts the test's addresses in place of the recipe's.
func (k *kitchen) atHome(code string) string {
	return strings.NewReplacer("http://127.0.0.1:8080", k.url, "-h 127.0.0.1 -p 6379", "-s "+k.redis).Replace(code)
}

func (k *kitchen) serve() {
	server := redistest.Start(k.t)
	k.redis = server.Addr()
	index, err := pubsub.NewIndex([]pubsub.IndexRule{{Match: "orders/**", Logs: 16}})
	if err != nil {
		k.t.Fatal(err)
	}
	b, err := redisbroker.New(redisbroker.Options{Addresses: []string{k.redis}, Timeout: patience, Size: 1000, TTL: time.Hour, KeyWindow: time.Minute, Index: index})
	if err != nil {
		k.t.Fatal(err)
	}
	hub := pubsub.NewHub(b, pubsub.Options{Index: index})
	g, err := gateway.New(gateway.Options{Hub: hub, Node: "kitchen"})
	if err != nil {
		k.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", g)
	mux.HandleFunc("/recipe", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, k.page)
	})
	front := httptest.NewServer(mux)
	k.url = front.URL
	k.t.Cleanup(func() {
		g.Drain(0)
		front.CloseClientConnections()
		front.Close()
		hub.Close()
		if err := b.Close(); err != nil {
			k.t.Error(err)
		}
	})
}

// run runs a command at the root of the tree and returns what it printed.
func (k *kitchen) run(name string, args ...string) string {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = filepath.Join("..", "..")
	command.Stderr = k.t.Output()
	output, err := command.Output()
	if err != nil {
		k.t.Fatalf("%s: %v, after\n%s", name, err, output)
	}
	return strings.TrimSpace(string(output))
}

// script writes code to a file.
func (k *kitchen) script(name, code string) string {
	k.t.Helper()
	path := filepath.Join(k.dir, name)
	if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
		k.t.Fatal(err)
	}
	return path
}

// block is the i-th one of a language.
func (k *kitchen) block(language string, i int) string {
	k.t.Helper()
	if i >= len(k.blocks[language]) {
		k.t.Fatalf("the recipe has %d blocks of %s, want one more", len(k.blocks[language]), language)
	}
	return k.blocks[language][i]
}

// modules are what scripts of Node may import.
func (k *kitchen) modules() {
	k.t.Helper()
	if err := os.Mkdir(filepath.Join(k.dir, "node_modules"), 0o700); err != nil {
		k.t.Fatal(err)
	}
	for name, source := range map[string]string{"comet-client": "../../gateway/web/cometjs", "react": "testdata/react"} {
		source, err := filepath.Abs(source)
		if err != nil {
			k.t.Fatal(err)
		}
		if err := os.Symlink(source, filepath.Join(k.dir, "node_modules", name)); err != nil {
			k.t.Skip(err) // Windows may not allow it
		}
	}
}

func (k *kitchen) want(got, want string) {
	k.t.Helper()
	if got != want {
		k.t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCurl(t *testing.T) {
	k := cook(t, "curl.md", "sh", "curl", "sed")
	first := k.run("sh", "-ec", k.block("sh", 0))
	if n := strings.Count(first, `"id"`); n != 4 || !strings.Contains(first, `"data":{"price":1.09}`) {
		t.Errorf("got %s", first)
	}
	k.want(k.run("sh", "-c", k.block("sh", 1)), "Hello\n"+`{"price":1.09}`)
}

func TestEventSource(t *testing.T) {
	k := cook(t, "eventsource.md", "chromium")
	b := browsertest.Start(t)
	k.page = k.block("html", 0)
	k.publish("news", `"before"`)
	b.Open(k.url + "/recipe")
	k.publish("news", `"<b>after</b>"`)
	var shown string
	b.Evaluate(`new Promise(done => { const look = () => log.children.length === 2 ? done([...log.children].map(e => e.textContent).join()) : setTimeout(look, 20); look() })`, &shown)
	k.want(shown, "before,<b>after</b>")
}

// The page shows an order from before, and those that come, each once with its newest
// state.
func TestOrders(t *testing.T) {
	k := cook(t, "orders.md", "chromium", "sh", "curl")
	b := browsertest.Start(t)
	k.page = k.block("html", 0)
	k.publish("orders/1", `{"state":"new"}`)
	b.Open(k.url + "/recipe")
	row := `[...document.querySelectorAll('#orders tr')].map(row => [...row.children].slice(0, 2).map(e => e.textContent).join(' '))`
	awaitRows := func(n int) (shown string) {
		b.Evaluate(fmt.Sprintf(`new Promise(done => { const look = () => %s.length === %d ? done(%s.join()) : setTimeout(look, 20); look() })`, row, n, row), &shown)
		return shown
	}
	k.want(awaitRows(1), "orders/1 new")
	k.run("sh", "-ec", k.block("sh", 0))
	k.want(awaitRows(2), "orders/2 new,orders/1 paid")
}

// htmx itself is run by package gateway/clienttest; this is what it asks for.
func TestHTMX(t *testing.T) {
	k := cook(t, "htmx.md", "sh", "curl")
	k.run("sh", "-ec", k.block("sh", 0))
	connect := regexp.MustCompile(`sse-connect="([^"]*)"`).FindStringSubmatch(k.block("html", 0))
	if connect == nil {
		t.Fatal("no sse-connect")
	}
	got := k.run("sh", "-c", fmt.Sprintf(`curl -sSN --max-time 1 '%s%s' | sed -n 's/^data: <p>/<p>/p'`, k.url, connect[1]))
	k.want(got, "<p>It <b>rains</b>.</p>")
}

func TestPHP(t *testing.T) {
	k := cook(t, "php.md", "php")
	k.want(k.run("php", k.script("recipe.php", k.block("php", 0))), "once")
}

func TestPython(t *testing.T) {
	k := cook(t, "python.md", "python3")
	k.want(k.run("python3", k.script("recipe.py", k.block("python", 0))), "0\n1\n2")
}

func TestNode(t *testing.T) {
	k := cook(t, "node.md", "node")
	k.modules()
	k.want(k.run("node", k.script("plain.mjs", k.block("js", 0))), "news")
	k.want(k.run("node", k.script("client.mjs", k.block("js", 1))), "It rains\nThe sun shines")
}

func TestReact(t *testing.T) {
	k := cook(t, "react.md", "node")
	k.modules()
	k.script("recipe.mjs", k.block("js", 0))
	test, err := os.ReadFile("testdata/react/test.js")
	if err != nil {
		t.Fatal(err)
	}
	k.want(k.run("node", k.script("test.mjs", strings.ReplaceAll(string(test), "from 'react'", "from '"+mountPath(t)+"'"))), "2,3")
}

// mountPath is the test's React by its real path, which is the one that a
// linked package has.
func mountPath(t *testing.T) string {
	path, err := filepath.Abs("testdata/react/index.js")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRedis(t *testing.T) {
	k := cook(t, "redis.md", "sh", "redis-cli")
	first := k.run("sh", "-ec", k.block("sh", 0))
	second := k.run("sh", "-ec", k.block("sh", 0))
	id, _, _ := strings.Cut(first, "\n")
	if id == "" || !strings.HasPrefix(second, id) {
		t.Errorf("published as %q, then as %q", first, second)
	}
	history := k.get("/v1/channels/news/messages")
	if strings.Count(history, `"id":"`+id+`"`) != 1 || !strings.Contains(history, `"data":{"title":"It rains"}`) {
		t.Errorf("the history is %s", history)
	}
}

func TestLLM(t *testing.T) {
	k := cook(t, "llm.md", "node")
	k.modules()
	k.want(k.run("node", k.script("recipe.mjs", k.block("js", 0))), "true To be, or not to be")
}

func (k *kitchen) get(path string) string {
	k.t.Helper()
	return k.ask(http.MethodGet, path, "")
}

func (k *kitchen) publish(channel, data string) {
	k.t.Helper()
	k.ask(http.MethodPost, "/v1/channels/"+channel+"/messages", data)
}

func (k *kitchen) ask(method, path, body string) string {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), method, k.url+path, strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		k.t.Fatalf("%s %s: %s %s, %v", method, path, res.Status, answer, err)
	}
	return string(answer)
}
