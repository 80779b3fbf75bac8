package clienttest

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"comet/gateway/web/browsertest"
	"comet/internal/testenv"
)

var update = flag.Bool("update", false, "write the table of clients into docs/clients.md")

const docs = "../../docs/clients.md"

// matrix has the nodes, programs and pages for the clients.
type matrix struct {
	*nodes
	t       *testing.T
	npm     string // the folder with node_modules
	node    string // the program
	goes    string // goclients, built
	browser *browsertest.Browser
	pages   *httptest.Server

	mu   sync.Mutex // guards runs
	runs map[string]*run
}

// Each client is handed 15 of 15 messages, each once and in order, over two nodes
// with cuts, and docs/clients.md says what was seen.
func TestClients(t *testing.T) {
	m := &matrix{t: t, npm: npm(t), node: testenv.Program(t, "node"), runs: make(map[string]*run)}
	m.goes = filepath.Join(t.TempDir(), "goclients")
	build(t, "goclients", m.goes, ".")
	m.pages = httptest.NewServer(m)
	t.Cleanup(m.pages.Close)
	t.Cleanup(m.pages.CloseClientConnections)
	m.nodes = startNodes(t, m.pages.URL)
	m.browser = browsertest.Start(t)
	results := make([]error, len(clients))
	var driven sync.WaitGroup
	for i, c := range clients {
		r := m.start(i, c)
		driven.Go(func() { results[i] = r.drive() })
	}
	driven.Wait()
	var rows []string
	for i, c := range clients {
		if results[i] != nil {
			t.Errorf("%s: %v", c.name, results[i])
		}
		rows = append(rows, m.row(c, m.runOf(channelOf(i))))
	}
	if !t.Failed() {
		compareTable(t, head+strings.Join(rows, ""))
	}
}

// The table in docs/clients.md is of these clients at these versions.
func TestTable(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		if row := fmt.Sprintf("| %s | %s |", c.name, versionOf(t, c)); !strings.Contains(string(text), row) {
			t.Errorf("%s has no row %s: run `make test-clients ARGS=-update`", docs, row)
		}
	}
}

func channelOf(i int) string { return fmt.Sprint("c", i) }

// start starts a client in front of a balancer of its own.
func (m *matrix) start(i int, c known) *run {
	r := &run{balancer: newBalancer(m.t, m.nodes, m.pages.URL), nodes: m.nodes, channel: channelOf(i), refuses: !c.givesUp, html: c.recipe > 0}
	if c.recipe > 0 { // which says what to do when no node is there at first
		r.balancer.shut(refuses)
	}
	m.mu.Lock()
	m.runs[r.channel] = r
	m.mu.Unlock()
	url := r.balancer.url() + target(r.channel)
	switch c.kind {
	case inPage:
		tab := m.browser
		if i > 0 {
			tab = tab.NewTab()
		}
		tab.Open(m.pages.URL + "/page/" + r.channel)
	case inNode:
		script := filepath.Join(m.npm, r.channel+".mjs")
		code := fmt.Sprintf("const url = %q, got = (text) => console.log(JSON.stringify(text))\n%s\n", url, c.code)
		if err := os.WriteFile(script, []byte(code), 0o600); err != nil {
			m.t.Fatal(err)
		}
		m.listen(r, exec.Command(m.node, script))
	case inGo:
		m.listen(r, exec.Command(m.goes, c.code, url))
	}
	return r
}

// listen runs a program that prints each message as a JSON string.
func (m *matrix) listen(r *run, command *exec.Cmd) {
	reader, writer := io.Pipe()
	command.Stdout = writer
	start(m.t, command)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewReaderSize(reader, 1<<20); ; {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			var text string
			if err := json.Unmarshal(line, &text); err != nil {
				text = fmt.Sprintf("%.100q", line)
			}
			r.take(text)
		}
	}()
	m.t.Cleanup(func() {
		_ = writer.Close()
		<-read
	})
}

// pageHTML is what a client in a browser runs in. It sends its whole list each
// time, as requests may overtake each other.
const pageHTML = `<!doctype html><meta charset="utf-8"><title>%s</title>
%s
<script>exports = {}</script>
<script type="module">
const url = %q, all = []
const send = (texts) => fetch('/got/%s', { method: 'POST', body: JSON.stringify(texts.map((text) => text.split(' ')[0])) })
const got = (text) => { all.push(text); send(all) }
addEventListener('error', ({ message }) => got('error: ' + message))
%s
</script>`

// fromRecipe is a page that shows what it got; code is for the script.
func (m *matrix) fromRecipe(c known, channel string) (html, code string) {
	text, err := os.ReadFile("../../docs/recipes/htmx.md")
	if err != nil {
		m.t.Error(err)
	}
	blocks := regexp.MustCompile("(?ms)^```html\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < c.recipe {
		m.t.Errorf("docs/recipes/htmx.md has %d blocks of HTML", len(blocks))
		return "", ""
	}
	html = c.html + `<div id="log">` + strings.Replace(blocks[c.recipe-1][1], "channel=news", "channel="+channel, 1) + `</div>`
	return html, `new MutationObserver(() => send([...log.querySelectorAll('p')].map((p) => p.textContent))).observe(log, { childList: true, subtree: true })`
}

// ServeHTTP serves the pages, their packages, and takes what they got.
func (m *matrix) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path, ok := strings.CutPrefix(r.URL.Path, "/npm/"); ok {
		serveModule(w, r, filepath.Join(m.npm, "node_modules", filepath.FromSlash(path)))
		return
	}
	if r.URL.Path == "/v1/events" { // a page that is of the same origin as the nodes
		m.pass(w, r)
		return
	}
	what, channel, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	run := m.runOf(channel)
	switch {
	case run == nil:
		http.NotFound(w, r)
	case what == "page":
		var i int
		_, _ = fmt.Sscanf(channel, "c%d", &i)
		c := clients[i]
		if c.recipe > 0 {
			c.html, c.code = m.fromRecipe(c, channel)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, pageHTML, c.name, c.html, run.balancer.url()+target(channel), channel, c.code)
	case what == "got":
		var all []string
		if err := json.NewDecoder(r.Body).Decode(&all); err == nil {
			run.show(all)
		}
	}
}

func (m *matrix) runOf(channel string) *run {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.runs[channel]
}

// pass forwards the request to the balancer of the channel.
func (m *matrix) pass(w http.ResponseWriter, r *http.Request) {
	run := m.runOf(r.URL.Query().Get("channel"))
	if run == nil {
		http.NotFound(w, r)
		return
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: run.balancer.listen.Addr().String()})
		},
		FlushInterval: -1,
		Transport:     plainHTTP.Transport,
		ErrorLog:      log.New(io.Discard, "", 0), // it is cut on purpose
	}
	proxy.ServeHTTP(w, r)
}

// serveModule serves a file of a package; imports may leave out the ending.
func serveModule(w http.ResponseWriter, r *http.Request, path string) {
	if _, err := os.Stat(path); err != nil {
		path += ".js"
	}
	w.Header().Set("Content-Type", "text/javascript")
	http.ServeFile(w, r, path)
}

const head = "| client | version | resumes by | raw | after an answer that is not `200` | what to set |\n|---|---|---|---|---|---|\n"

// row returns a client's row of the table.
func (m *matrix) row(c known, r *run) string {
	after := "comes back"
	if c.givesUp {
		after = "gives up"
	}
	return fmt.Sprintf("| %s | %s | %s | %d of %d | %s | %s |\n", c.name, versionOf(m.t, c), r.balancer.resumedBy(), len(r.list()), total, after, c.set)
}

// versionOf returns the version in package.json or go.mod.
func versionOf(t *testing.T, c known) string {
	t.Helper()
	file, pattern := "package.json", `"`+regexp.QuoteMeta(c.from)+`": "(?:npm:[^"]*@)?([^"]+)"`
	if c.kind == inGo {
		file, pattern = "goclients/go.mod", regexp.QuoteMeta(c.from)+` v(\S+)`
	}
	if c.from == "" {
		return "Chromium"
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s has no %s", file, c.from)
	}
	version := string(found[1])
	return version[strings.LastIndexByte(version, '-')+1:] // of a pseudo-version just the commit
}

// compareTable compares the table in the docs, or writes it.
func compareTable(t *testing.T, table string) {
	t.Helper()
	const begin, end = "<!-- clients -->\n", "<!-- /clients -->"
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), begin)
	now, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("%s has no table between %s and %s", docs, begin, end)
	}
	switch {
	case now == table:
	case *update:
		if err := os.WriteFile(docs, []byte(before+begin+table+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the table of %s is not what was seen: write it by `make test-clients ARGS=-update`. It would be\n%s", docs, table)
	}
}
