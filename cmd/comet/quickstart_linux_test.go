package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway/web/browsertest"
	"comet/internal/servertest"
	"comet/internal/testenv"
)

// site is a folder with the files of docs/quickstart.md, and what runs in it.
type site struct {
	t        testing.TB
	dir      string
	url      string            // of the server
	node     string            // address of the node
	files    map[string]string // by name; the second index.html is index.html-2
	commands []string          // the blocks of shell commands
	swap     *strings.Replacer // puts the test's addresses in place of the page's
}

// newSite writes the files of the page to a new folder, with addresses of this test,
// and tokens that live for 3 s instead of 5 minutes.
func newSite(t testing.TB) *site {
	t.Helper()
	node, own := freeAddress(t), freeAddress(t)
	_, port, _ := strings.Cut(own, ":")
	s := &site{t: t, dir: t.TempDir(), url: "http://" + own, node: node, files: map[string]string{},
		swap: strings.NewReplacer("127.0.0.1:8080", node, "3000", port, " 300,", " 3,")}
	text := quickstart(t)
	for _, part := range strings.Split(text, "Save as `")[1:] {
		name, rest, _ := strings.Cut(part, "`")
		if s.files[name] != "" {
			name += "-2"
		}
		s.files[name] = s.swap.Replace(firstBlock(rest, ""))
		s.write(name, s.files[name])
	}
	for rest := text; strings.Contains(rest, "\n```sh\n"); {
		command := firstBlock(rest, "sh")
		s.commands = append(s.commands, command)
		_, rest, _ = strings.Cut(rest, command)
	}
	if len(s.files) != 8 || len(s.commands) != 2 {
		t.Fatalf("the page has %d files and %d blocks of commands, want 8 and 2", len(s.files), len(s.commands))
	}
	return s
}

func quickstart(t testing.TB) string {
	return readFile(t, filepath.Join(module, "docs", "quickstart.md"))
}

// firstBlock returns the first block of code of a language, or of any.
func firstBlock(text, language string) string {
	_, rest, _ := strings.Cut(text, "\n```"+language)
	_, rest, _ = strings.Cut(rest, "\n")
	block, _, _ := strings.Cut(rest, "\n```")
	return block + "\n"
}

func (s *site) write(name, content string) {
	s.t.Helper()
	servertest.WriteFile(s.t, filepath.Join(s.dir, name), []byte(content))
}

// startNode runs the page's commands: secrets and a node, with more flags.
func (s *site) startNode(flags ...string) {
	s.t.Helper()
	testenv.Program(s.t, "openssl")
	secrets := exec.Command(testenv.Program(s.t, "sh"), "-ec", s.commands[0])
	secrets.Dir = s.dir
	if out, err := secrets.CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	serve, ok := strings.CutPrefix(s.commands[1], "comet ")
	if !ok {
		s.t.Fatalf("%q does not start a node", s.commands[1])
	}
	flags = append(flags, "--auth-jwt-leeway", "0s") // a stream ends with its token, not 10 s later
	setup{dir: s.dir}.start(s.t, append(strings.Fields(serve), flags...)...).awaitErr(`msg=serving`)
}

// serve runs a server of the page with its command, and waits until it answers.
func (s *site) serve(command string) {
	s.t.Helper()
	if !strings.Contains(quickstart(s.t), "run `"+command+"`") {
		s.t.Errorf("the page does not say %q", command)
	}
	s.run(strings.Fields(s.swap.Replace(command))...)
	awaitAnswer(s.t, s.url)
}

// run runs a program in the folder until the test ends.
func (s *site) run(command ...string) {
	s.t.Helper()
	path := command[0]
	if path != "go" {
		path = testenv.Program(s.t, path)
	}
	log := servertest.NewOutput()
	c := exec.Command(path, command[1:]...)
	c.Dir, c.Stdout, c.Stderr = s.dir, log, log
	ended, err := testenv.StartProcess(c)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		testenv.KillProcess(c)
		<-ended
		if s.t.Failed() {
			s.t.Logf("%s:\n%s", command, log)
		}
	})
}

// visit opens the site, says something, waits until the token was renewed, and says
// something again. The page must show what was said before, and both once, in order.
func (s *site) visit(b *browsertest.Browser, url string, said ...string) {
	s.t.Helper()
	b.Open(url)
	s.await(b, `state.textContent === 'open'`)
	const tokens = `performance.getEntriesByType('resource').filter(e => e.name.endsWith('/comet-token')).length`
	for n, text := range []string{"Hello", "<b>Again</b>"} {
		s.await(b, fmt.Sprintf(`%s > %d`, tokens, n))
		b.Evaluate(fmt.Sprintf(`(text.value = %q, form.requestSubmit(), true)`, text), new(bool))
		said = append(said, "alice: "+text)
		s.await(b, fmt.Sprintf(`log.children.length >= %d`, len(said)))
	}
	var shown []string
	b.Evaluate(`[...log.children].map(e => e.textContent)`, &shown)
	if !slices.Equal(shown, said) {
		s.t.Errorf("%s shows %q, want %q", url, shown, said)
	}
}

func (s *site) await(b *browsertest.Browser, condition string) {
	s.t.Helper()
	for late := time.Now().Add(deadline); ; {
		var met bool
		b.Evaluate(fmt.Sprintf(`new Promise(done => setTimeout(() => done(%s), 20))`, condition), &met)
		if met {
			return
		}
		if time.Now().After(late) {
			var instead string
			b.Evaluate(`document.body.innerText`, &instead)
			s.t.Fatalf("waited in vain for %s; the page shows %q", condition, instead)
		}
	}
}

// TestQuickstart runs docs/quickstart.md: each server with both pages, which come
// from another origin than Comet's.
func TestQuickstart(t *testing.T) {
	testenv.Large(t)
	for name, command := range map[string]string{
		"Node":   "node server.mjs",
		"PHP":    "php -S 127.0.0.1:3000 server.php",
		"Python": "python3 server.py",
		"Go":     "go run server.go",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.startNode()
			s.serve(command)
			b := browsertest.Start(t)
			s.write("index.html", s.files["index.html"])
			s.visit(b, s.url)
			s.write("index.html", s.files["index.html-2"])
			s.visit(b, s.url, "alice: Hello", "alice: <b>Again</b>")
		})
	}
}

// TestQuickstartOneOrigin has nginx, with the file of docs/quickstart.md, in front of
// the server and the node, which takes no pages of other origins.
func TestQuickstartOneOrigin(t *testing.T) {
	testenv.Large(t)
	s := newSite(t)
	s.startNode("--http-cors-origins", "", "--http-trusted-proxies", "127.0.0.1")
	s.serve("node server.mjs")
	front := freeAddress(t)
	s.write("site.conf", strings.ReplaceAll(s.files["site.conf"], "127.0.0.1:8000", front))
	s.write("nginx.conf", "events {}\nhttp { include site.conf; access_log off; }\n")
	s.run("nginx", "-p", s.dir, "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off; pid nginx.pid;")
	awaitAnswer(t, "http://"+front)
	b := browsertest.Start(t)
	s.write("index.html", strings.ReplaceAll(s.files["index.html"], "http://"+s.node, ""))
	s.visit(b, "http://"+front)
	s.write("index.html", strings.ReplaceAll(s.files["index.html-2"], "http://"+s.node, ""))
	s.visit(b, "http://"+front, "alice: Hello", "alice: <b>Again</b>")
}

// TestQuickstartErrors: a node answers what the table of docs/quickstart.md says, and
// a missing credential is called missing.
func TestQuickstartErrors(t *testing.T) {
	testenv.Large(t)
	s := newSite(t)
	s.startNode()
	_, key, _ := strings.Cut(strings.TrimSpace(readFile(t, filepath.Join(s.dir, "keys"))), ":")
	post := func(credential, channel, body string) (int, string) {
		t.Helper()
		args := []string{"-sS", "-w", "\n%{http_code}", "-H", "Idempotency-Key: 1", "-d", body, "http://" + s.node + "/v1/channels/" + channel + "/messages"}
		if credential != "" {
			args = append(args, "-H", "Authorization: Bearer "+credential)
		}
		out, err := exec.Command(testenv.Program(t, "curl"), args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		answer, status, _ := strings.Cut(string(out), "\n")
		var code int
		if _, err := fmt.Sscan(status, &code); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		return code, answer
	}
	for _, test := range []struct {
		credential, channel, body string
		status                    int
		want                      []string
	}{
		{"", "chat%2F1", "x", 401, []string{"credential-missing", "No credential was sent"}},
		{"backend:" + key, "chat%2F1", "x", 401, []string{"credential-unknown-key", "without"}},
		{key, "news", "x", 403, []string{"forbidden", "permission publish"}},
		{key, "chat%2F1", "x", 201, nil},
		{key, "chat%2F1", "y", 409, []string{"idempotency-key-reused"}},
	} {
		status, answer := post(test.credential, test.channel, test.body)
		if status != test.status {
			t.Errorf("%s to %s: %d %s, want %d", test.body, test.channel, status, answer, test.status)
		}
		for _, want := range test.want {
			if !strings.Contains(answer, want) {
				t.Errorf("%s to %s: %s, want %s", test.body, test.channel, answer, want)
			}
		}
	}
}
