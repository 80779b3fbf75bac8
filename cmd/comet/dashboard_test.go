package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"

	"comet/gateway/web/browsertest"
	"comet/internal/servertest"
	"comet/pubsub/redistest"
)

// clusterOf is a cluster of nodes on one Redis, each with an admin listener.
type clusterOf struct {
	processes    []*process
	urls, admins []string
}

func startCluster(t testing.TB, nodes int, args ...string) *clusterOf {
	t.Helper()
	redis := redistest.Start(t)
	c := &clusterOf{}
	for i := range nodes {
		p, url, admin := startNodeWithAdmin(t, append([]string{"--redis", redis.Addr(), "--node", fmt.Sprintf("node-%d", i+1)}, args...)...)
		c.processes, c.urls, c.admins = append(c.processes, p), append(c.urls, url), append(c.admins, admin)
	}
	return c
}

// dashboardScreens are the screens that the dashboard must fit.
var dashboardScreens = []browsertest.Screen{
	{Name: "desk", Width: 1280, Height: 900},
	{Name: "dark", Width: 1280, Height: 900, Dark: true},
	{Name: "phone", Width: 360, Height: 780},
}

// awaitPage waits until a JavaScript condition is met.
func awaitPage(b *browsertest.Browser, condition string) {
	b.Evaluate(fmt.Sprintf(`new Promise(done => { const look = () => (%s) ? done(true) : setTimeout(look, 20); look(); })`, condition), new(bool))
}

// text returns the text of an element.
func text(b *browsertest.Browser, selector string) (shown string) {
	b.Evaluate(fmt.Sprintf(`document.querySelector(%q).textContent`, selector), &shown)
	return shown
}

// keyCodes are the keys that press knows by name.
var keyCodes = map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}

// press types into the page: a key of the keyboard, or text.
func press(b *browsertest.Browser, key string) {
	code, named := keyCodes[key]
	if !named {
		b.Call("Input.insertText", map[string]string{"text": key}, nil)
		return
	}
	down := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code}
	if key == "Enter" {
		down["text"] = "\r"
	}
	b.Call("Input.dispatchKeyEvent", down, nil)
	b.Call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code}, nil)
}

// wantQuiet fails for each error in the page's console, except answers that the
// page expects: those with the given statuses, and "no presence".
func wantQuiet(b *browsertest.Browser, expected ...string) {
	const entries = "Log.entryAdded"
	b.Events[entries] = slices.DeleteFunc(b.Events[entries], func(e json.RawMessage) bool {
		return strings.Contains(string(e), "/presence") || slices.ContainsFunc(expected, func(status string) bool {
			return strings.Contains(string(e), "status of "+status)
		})
	})
	b.WantNoComplaints()
}

// jumps computes the cumulative layout shift of the page
// (https://web.dev/articles/cls): people notice 0.1.
const jumps = `new Promise(done => new PerformanceObserver(list =>
	done(list.getEntries().reduce((sum, e) => sum + (e.hadRecentInput ? 0 : e.value), 0))).observe({type: 'layout-shift', buffered: true}) ??
	setTimeout(() => done(0), 500))`

// TestDashboard checks that the dashboard shows the data of three nodes, live, on
// every screen.
func TestDashboard(t *testing.T) {
	t.Parallel()
	b := browsertest.Start(t)
	c := startCluster(t, 3)
	hostile := `<img src=x onerror="window.owned=1">`
	for i, query := range []string{"channel=news", "channel=news", "channel=" + url.QueryEscape(hostile)} {
		servertest.OpenStream(t, c.urls[i]+"/v1/events?"+query)
	}
	for _, s := range dashboardScreens {
		b.Show(s)
		b.Open(c.admins[1] + "/?" + s.Name)
		awaitPage(b, `document.querySelectorAll('#nodes tr').length === 3 && document.querySelectorAll('#channels li').length === 2 &&
			document.querySelector('#status').dataset.state === 'connected' && document.querySelectorAll('.plot[data-lines="3"] canvas').length === 4 &&
			document.querySelector('#streams').textContent === '3'`)
		if got := text(b, "#summary"); got != "3 nodes · all ready" {
			t.Errorf("%s: the summary is %q", s.Name, got)
		}
		if got := text(b, "#channels li"); got != "news2" {
			t.Errorf("%s: the busiest channel is %q", s.Name, got)
		}
		if got := text(b, "#channels li:last-child a"); got != hostile {
			t.Errorf("%s: the other one is %q", s.Name, got)
		}
		var jumped float64
		if b.Evaluate(jumps, &jumped); jumped > 0.1 {
			t.Errorf("%s: the page jumped by %v", s.Name, jumped)
		}
		b.WantFit(s)
		wantQuiet(b)
	}
	inspectByKeyboard(t, b, hostile)
	c.processes[2].signal(syscall.SIGTERM)
	c.processes[2].wantExit(exitOK)
	awaitPage(b, `document.querySelectorAll('#nodes tr').length === 2 && document.querySelector('#streams').textContent === '2'`)
	if err := c.processes[0].command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitPage(b, `document.querySelectorAll('#nodes tr').length === 1 && document.querySelector('#streams').textContent === '1'`)
	wantQuiet(b)
}

// inspectByKeyboard opens the last channel and publishes there, without a mouse.
func inspectByKeyboard(t *testing.T, b *browsertest.Browser, hostile string) {
	t.Helper()
	b.Evaluate(`(document.querySelector('#channels li:last-child a').focus(), true)`, new(bool))
	press(b, "Enter")
	awaitPage(b, `document.querySelector('#inspected-state').dataset.state === 'connected' && document.activeElement.closest('#channels')`)
	b.Evaluate(`(document.querySelector('#type').focus(), true)`, new(bool))
	press(b, "test")
	press(b, "Tab")
	press(b, hostile)
	press(b, "Enter")
	awaitPage(b, `document.querySelectorAll('#messages article').length === 1 && document.querySelector('#published').textContent.startsWith('Published as ')`)
	if kind, said := text(b, "#messages .type"), text(b, "#messages .text"); kind != "test" || said != hostile {
		t.Errorf("the inspector shows %q: %q", kind, said)
	}
	var owned bool
	b.Evaluate(`window.owned !== undefined || document.querySelectorAll('main img').length > 0`, &owned)
	if owned {
		t.Error("a name or message became HTML")
	}
}

// TestDashboardSignIn checks that the page asks for admin.token, keeps it for the
// tab, and shows no data without it. Only the assets need no token.
func TestDashboardSignIn(t *testing.T) {
	t.Parallel()
	b := browsertest.Start(t)
	const token = "a-token-of-an-operator"
	_, _, admin := startNodeWithAdmin(t, "--admin-token", token)
	for _, path := range []string{"/v1/nodes", "/v1/channels", "/v1/events?channel=comet.nodes", "/v1/channels/news/messages"} {
		if response := servertest.Get(t, admin+path); response.StatusCode != 401 {
			t.Errorf("%s without a token: %s", path, response.Status)
		}
	}
	b.Open(admin)
	signIn := func(token string) {
		b.Evaluate(`(document.querySelector('#token').focus(), true)`, new(bool))
		press(b, token)
		press(b, "Enter")
	}
	awaitPage(b, `document.querySelector('#sign-in').open`)
	signIn("wrong")
	awaitPage(b, `document.querySelector('#sign-in').open && document.querySelector('#sign-in-problem').textContent !== ''`)
	if got := text(b, "#nodes"); strings.TrimSpace(got) != "" {
		t.Errorf("shown without the token: %q", got)
	}
	signIn(token)
	const shown = `!document.querySelector('#sign-in').open && document.querySelectorAll('#nodes tr').length === 1 &&
		document.querySelector('#status').dataset.state === 'connected' && !document.querySelector('#sign-out').hidden`
	awaitPage(b, shown)
	wantQuiet(b, "401")
	b.Open(admin + "/?again")
	awaitPage(b, shown)
	wantQuiet(b)
	b.Evaluate(`(setTimeout(() => document.querySelector('#sign-out').click()), true)`, new(bool))
	b.AwaitLoad()
	awaitPage(b, `document.querySelector('#sign-in').open && document.querySelectorAll('#nodes tr').length === 0`)
	if kept := pageStorage(b); strings.Contains(kept, token) {
		t.Errorf("kept after signing out: %s", kept)
	}
}

func pageStorage(b *browsertest.Browser) (all string) {
	b.Evaluate(`JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])`, &all)
	return all
}
