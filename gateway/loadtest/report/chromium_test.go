package report

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// deadline is for anything that a browser does; a loaded machine needs it.
const deadline = 45 * time.Second

// browser is a headless Chromium, spoken to by the DevTools protocol over
// pipes: JSON objects, each ended by a zero byte. Its methods are for the
// test's own goroutine.
type browser struct {
	t        testing.TB
	commands io.Writer
	messages chan message // closed when Chromium has ended
	next     int
	session  string
	// What the page did since it was opened, by method of the protocol.
	events map[string][]json.RawMessage
}

type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// startBrowser skips the test where there is no Chromium.
func startBrowser(t testing.TB) *browser {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows hands down no pipes by number")
	}
	name, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed (Debian: apt-get install chromium)")
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(name, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	command.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, as Chromium wants them
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = theirIn.Close(), theirOut.Close()
	b := &browser{t: t, commands: in, messages: make(chan message), events: make(map[string][]json.RawMessage)}
	ended := make(chan struct{})
	go func() { defer close(ended); b.read(out) }()
	t.Cleanup(func() {
		b.send("", "Browser.close", nil)
		kill := time.AfterFunc(deadline, func() { _ = command.Process.Kill() })
		for range b.messages { // to the end
		}
		<-ended
		_ = command.Wait() // its exit code says nothing
		kill.Stop()
		_, _ = in.Close(), out.Close()
	})
	b.attach()
	return b
}

func (b *browser) read(out io.Reader) {
	defer close(b.messages)
	for r := bufio.NewReader(out); ; {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) == nil {
			b.messages <- m
		}
	}
}

// attach makes the page that all further calls are about.
func (b *browser) attach() {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(domain+".enable", nil, nil)
	}
}

func (b *browser) send(session, method string, params any) int {
	b.next++
	text, err := json.Marshal(struct {
		ID      int    `json:"id"`
		Session string `json:"sessionId,omitempty"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitempty"`
	}{b.next, session, method, params})
	if err == nil {
		_, err = b.commands.Write(append(text, 0))
	}
	if err != nil {
		b.t.Errorf("chromium, %s: %v", method, err)
	}
	return b.next
}

// call returns when the answer is there, in result unless that is nil.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	id := b.send(b.session, method, params)
	b.await(func(m message) bool { return m.ID == id }, func(m message) error {
		switch {
		case m.Error != nil:
			return errors.New(m.Error.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(m.Result, result)
	}, method)
}

// await takes messages until one is wanted, and keeps the events among them.
func (b *browser) await(wanted func(message) bool, do func(message) error, what string) {
	b.t.Helper()
	late := time.After(deadline)
	for {
		select {
		case m, open := <-b.messages:
			if !open {
				b.t.Fatalf("chromium ended before %s", what)
			}
			if m.Method != "" {
				b.events[m.Method] = append(b.events[m.Method], m.Params)
			}
			if wanted(m) {
				if err := do(m); err != nil {
					b.t.Fatalf("chromium, %s: %v", what, err)
				}
				return
			}
		case <-late:
			b.t.Fatalf("chromium, %s: no answer", what)
		}
	}
}

// screen is what a page is shown on.
type screen struct {
	name          string
	width, height int
	dark          bool
}

// open shows html and returns when it is loaded. From then on events has what
// the page did.
func (b *browser) open(html []byte, s screen) {
	b.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(html) // a browser that has left
	}))
	b.t.Cleanup(server.Close)
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": s.width, "height": s.height, "deviceScaleFactor": 1, "mobile": s.width < 500}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	clear(b.events)
	b.send(b.session, "Page.navigate", map[string]any{"url": server.URL})
	b.await(func(m message) bool { return m.Method == "Page.loadEventFired" }, func(message) error { return nil }, "loading")
	b.evaluate(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, new(bool))
}

// evaluate is the value of a JavaScript expression, or of its promise.
func (b *browser) evaluate(expression string, value any) {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{
		"expression": expression, "returnByValue": true, "awaitPromise": true}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, answer.ExceptionDetails)
	}
	if err := json.Unmarshal(answer.Result.Value, value); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

// wantQuiet fails for anything that the page complained of, or asked for
// besides itself, or that does not fit the screen's width.
func (b *browser) wantQuiet(s screen) {
	b.t.Helper()
	for _, method := range []string{"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"} {
		for _, e := range b.events[method] {
			b.t.Errorf("%s: %s: %s", s.name, method, e)
		}
	}
	if n := len(b.events["Network.requestWillBeSent"]); n != 1 {
		b.t.Errorf("%s: %d requests, want the page alone: %s", s.name, n, b.events["Network.requestWillBeSent"])
	}
	var width int
	b.evaluate(`document.documentElement.scrollWidth`, &width)
	if width > s.width {
		b.t.Errorf("%s: the page is %d wide", s.name, width)
	}
}

// screenshotsVariable names a folder for pictures of the pages, to look at.
const screenshotsVariable = "COMET_TEST_SCREENSHOTS"

// screenshot keeps a picture of the whole page, if someone wants it.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	folder := os.Getenv(screenshotsVariable)
	if folder == "" {
		return
	}
	var picture struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &picture)
	data, err := base64.StdEncoding.DecodeString(picture.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s.png", name)), data, 0o666)
	}
	if err != nil {
		b.t.Error(err)
	}
}
