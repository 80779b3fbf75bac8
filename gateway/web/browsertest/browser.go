// Package browsertest drives a real Chromium in tests.
package browsertest

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"comet/internal/testenv"
)

// deadline is for anything that a browser does; a loaded machine needs it.
const deadline = 45 * time.Second

// Browser is a tab of a headless Chromium, spoken to by the DevTools protocol
// over pipes: JSON objects, each ended by a zero byte. Its methods, and those of
// the other tabs, are for the test's own goroutine.
type Browser struct {
	*process
	target  string
	session string
	// Events of the page since it was opened, by method of the protocol.
	Events map[string][]json.RawMessage
}

// process is what tabs have in common.
type process struct {
	t        testing.TB
	commands io.Writer
	messages chan message // closed when Chromium has ended
	next     int          // the ID of the last command
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

// Start starts one, which ends with t. Tests with a browser are large: see package testenv.
func Start(t testing.TB) *Browser {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows hands down no pipes by number")
	}
	name := testenv.Program(t, "chromium")
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
	b := &Browser{process: &process{t: t, commands: in, messages: make(chan message)}}
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

// NewTab is one more tab.
func (b *Browser) NewTab() *Browser {
	b.t.Helper()
	tab := &Browser{process: b.process}
	tab.attach()
	return tab
}

// CloseTab closes the tab, as a person does.
func (b *Browser) CloseTab() {
	b.t.Helper()
	b.Call("Target.closeTarget", map[string]any{"targetId": b.target}, nil)
}

func (b *process) read(out io.Reader) {
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
func (b *Browser) attach() {
	b.t.Helper()
	b.Events = make(map[string][]json.RawMessage)
	var target struct{ TargetID string }
	b.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.target = target.TargetID
	var attached struct{ SessionID string }
	b.Call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.Call(domain+".enable", nil, nil)
	}
}

func (b *process) send(session, method string, params any) int {
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

// Call sends a command of the protocol and returns when the answer is there, in result unless that is nil.
func (b *Browser) Call(method string, params, result any) {
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
func (b *Browser) await(wanted func(message) bool, do func(message) error, what string) {
	b.t.Helper()
	late := time.After(deadline)
	for {
		select {
		case m, open := <-b.messages:
			if !open {
				b.t.Fatalf("chromium ended before %s", what)
			}
			if m.Method != "" && m.Session == b.session {
				b.Events[m.Method] = append(b.Events[m.Method], m.Params)
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

// Open goes to a page and returns when it is loaded. From then on Events has
// what the page did.
func (b *Browser) Open(url string) {
	b.t.Helper()
	clear(b.Events)
	b.send(b.session, "Page.navigate", map[string]any{"url": url})
	b.AwaitLoad()
}

// AwaitLoad waits for the next page that is loaded.
func (b *Browser) AwaitLoad() {
	b.t.Helper()
	b.await(func(m message) bool { return m.Method == "Page.loadEventFired" && m.Session == b.session }, func(message) error { return nil }, "loading")
	b.Evaluate(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, new(bool))
}

// Evaluate is the value of a JavaScript expression, or of its promise.
func (b *Browser) Evaluate(expression string, value any) {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.Call("Runtime.evaluate", map[string]any{
		"expression": expression, "returnByValue": true, "awaitPromise": true}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, answer.ExceptionDetails)
	}
	if err := json.Unmarshal(answer.Result.Value, value); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}
