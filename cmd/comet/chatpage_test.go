package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"comet/gateway/web/browsertest"
	"comet/internal/testenv"
)

// startDemo starts the demo and returns the address of its front.
func startDemo(t testing.TB) string {
	t.Helper()
	return start(t, "demo", "--listen", "127.0.0.1:0").awaitOut(`chat +(\S+)`)[1]
}

// TestChatScreens checks that the page does not jump, fits every screen and logs
// no errors.
func TestChatScreens(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	c := newChatter(t, "ada", startDemo(t))
	for n := range 30 {
		c.say(fmt.Sprintf("Message %d has an address that is too long for a phone: https://example.com/%s", n, strings.Repeat("x", 80)))
	}
	c.await(noneWaits)
	for _, s := range chatScreens {
		c.b.Show(s)
		c.b.Open(fmt.Sprintf("%s/?%s", c.front, s.Name))
		c.awaitConnected()
		c.awaitText("Message 29")
		var jumped float64
		if c.b.Evaluate(jumps, &jumped); jumped > 0.1 {
			t.Errorf("%s: the page jumped by %v", s.Name, jumped)
		}
		c.b.WantFit(s)
		c.b.WantNoComplaints()
	}
}

// BenchmarkChatPaint measures when the first content is on the screen, in ms after
// the request.
func BenchmarkChatPaint(b *testing.B) {
	c := newChatter(b, "ada", startDemo(b))
	for b.Loop() {
		c.b.Open(c.front)
		c.awaitConnected()
		var painted float64
		c.b.Evaluate(`performance.getEntriesByName('first-contentful-paint')[0].startTime`, &painted)
		b.ReportMetric(painted, "ms-to-paint")
	}
}

// TestChatKeyboard uses the whole page without a mouse.
func TestChatKeyboard(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	c := newChatter(t, "ada", startDemo(t))
	c.await(`document.activeElement.id === 'text'`)
	press(c.b, "With :tada: and <b>no HTML</b>")
	c.b.Call("Input.dispatchKeyEvent", map[string]any{
		"type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": keyCodes["Enter"], "text": "\r", "modifiers": 8}, nil) // Shift
	press(c.b, "in two lines")
	press(c.b, "Enter")
	c.awaitText("With 🎉 and <b>no HTML</b>\nin two lines")

	c.focus("#emoji-button")
	press(c.b, "Enter")
	c.await(`!document.querySelector('#emoji').hidden && document.activeElement.title === ':smile:'`)
	press(c.b, "ArrowRight")
	press(c.b, "Enter")
	c.await(`document.querySelector('#emoji').hidden && document.activeElement.value === '😁'`)
	press(c.b, "Enter")
	c.awaitText("😁")
	c.focus("#emoji-button")
	press(c.b, "Enter")
	press(c.b, "Escape")
	c.await(`document.querySelector('#emoji').hidden && document.activeElement.id === 'text'`)

	c.focus("#new-room")
	press(c.b, "tea & coffee")
	press(c.b, "Enter")
	c.await(`document.querySelector('#title').textContent === '#tea & coffee' && location.hash === '#tea%20%26%20coffee' && document.activeElement.id === 'text'`)
	c.focus(`#rooms a[href="#random"]`)
	press(c.b, "Enter")
	c.await(`document.querySelector('#title').textContent === '#random' && document.querySelector('[aria-current]').textContent.includes('random')`)
	c.focus(`#rooms .leave`)
	press(c.b, "Enter")
	c.await(`document.querySelectorAll('#rooms li').length === 3`)

	c.b.Show(browsertest.Screen{Width: 360, Height: 700})
	c.focus("#menu")
	press(c.b, "Enter")
	c.await(`document.querySelector('#menu').ariaExpanded === 'true' && document.activeElement.closest('#side')`)
	press(c.b, "Escape")
	c.await(`document.querySelector('#menu').ariaExpanded === 'false' && document.activeElement.id === 'menu' && getComputedStyle(document.querySelector('#side')).visibility === 'hidden'`)
	c.b.WantNoComplaints()
}

// TestChatSignIn checks that Escape does not skip the sign-in, and that a bad name
// is reported.
func TestChatSignIn(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	b := browsertest.Start(t)
	b.Open(startDemo(t))
	const asks = `document.querySelector('#sign-in').open && document.activeElement.id === 'name'`
	awaitPage(b, asks)
	press(b, "Escape")
	awaitPage(b, asks)
	press(b, "Escape")
	awaitPage(b, asks)
	press(b, "a~b")
	press(b, "Enter")
	awaitPage(b, `document.querySelector('#sign-in-problem').textContent.startsWith('A name is 1 to 32')`)
	b.Evaluate(`(document.querySelector('#name').select(), true)`, new(bool))
	press(b, "ada")
	press(b, "Enter")
	awaitPage(b, `!document.querySelector('#sign-in').open && document.querySelector('#me').textContent === 'ada'`)
	b.Evaluate(`(document.querySelector('#sign-out').click(), true)`, new(bool))
	b.AwaitLoad()
	awaitPage(b, asks+` && document.querySelector('#name').value === 'ada'`)
	wantQuiet(b, "400")
}

// TestChatForScreenReaders checks that all controls have a name, and that new
// messages are announced.
func TestChatForScreenReaders(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	c := newChatter(t, "ada", startDemo(t))
	c.say("Hello")
	c.awaitText("Hello")
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name struct{ Value string }
		}
	}
	c.b.Call("Accessibility.getFullAXTree", nil, &tree)
	found := map[string]int{}
	for _, n := range tree.Nodes {
		role := n.Role.Value
		if n.Ignored {
			continue
		}
		found[role]++
		switch role {
		case "button", "link", "textbox", "log", "navigation", "main", "dialog", "group":
			if strings.TrimSpace(n.Name.Value) == "" {
				t.Errorf("there is a %s without a name", role)
			}
		}
	}
	for _, role := range []string{"main", "navigation", "log", "status", "heading", "textbox", "button", "link", "article"} {
		if found[role] == 0 {
			t.Errorf("nothing is a %s", role)
		}
	}
}

// TestChatOutbox checks that unsent messages survive a reload of the page, and are
// published once.
func TestChatOutbox(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	refuses := new(atomic.Bool)
	c := newChatter(t, "ada", refuser(t, startDemo(t), refuses))
	refuses.Store(true)
	c.say("Not now")
	c.say("Nor this")
	const waiting = `[...document.querySelectorAll('.pending .text')].map(e => e.textContent).join() === 'Not now,Nor this'`
	c.await(waiting)
	c.b.Open(c.front + "/?again#lobby")
	c.awaitConnected()
	c.await(waiting)
	refuses.Store(false)
	c.awaitText("Nor this")
	c.await(noneWaits)
	if lines := c.transcript(); len(lines) != 2 || lines[0].Text != "Not now" || lines[1].Text != "Nor this" {
		t.Errorf("the room has %v", lines)
	}
	if kept := pageStorage(c.b); strings.Contains(kept, "outbox") {
		t.Errorf("kept when all was published: %s", kept)
	}
}

// refuser starts a proxy in front of front. It refuses publishes while refuses is true.
func refuser(t *testing.T, front string, refuses *atomic.Bool) string {
	t.Helper()
	target, err := url.Parse(front)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuses.Load() && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/messages") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	return server.URL
}

// TestChatRooms checks that a message of the day from the command line stays until
// it was seen, that links lead where they say, that unread messages are counted,
// and that history is read back.
func TestChatRooms(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	front := startDemo(t)
	c := newChatter(t, "ada", front)
	publish := func(args ...string) {
		runToEnd(t, append(append([]string{"publish"}, args...), "--url", front)...).wantExit(exitOK)
	}
	publish("chat/lobby", "Tea at four", "--type", "motd")
	c.await(`!document.querySelector('#motd').hidden && document.querySelector('#motd-text').textContent === 'Tea at four'`)
	c.focus("#motd-close")
	press(c.b, "Enter")
	c.await(`document.querySelector('#motd').hidden`)

	publish("chat/lobby", "See https://example.com/a?b=(c)&d, javascript:alert(1) and http://[bad.")
	c.awaitText("See https")
	var links []string
	c.b.Evaluate(`[...document.querySelectorAll('.live a')].map(a => [a.href, a.target, a.rel].join(' '))`, &links)
	if want := "https://example.com/a?b=(c)&d _blank noopener noreferrer nofollow"; len(links) != 1 || links[0] != want {
		t.Errorf("links %q, want %q", links, want)
	}

	setup{in: strings.NewReader(numbers(1, 130))}.runToEnd(t, "publish", "chat/help", "--url", front).wantExit(exitOK)
	c.await(`document.querySelector('#rooms a[href="#help"] .unread').textContent === '99+' && document.title.startsWith('(130) ')`)
	c.open("help")
	c.await(`document.querySelector('#rooms a[href="#help"] .unread').hidden && document.title === '#help · Comet chat'`)
	c.b.Open(front + "/?again#help")
	c.awaitConnected()
	c.awaitText("130")
	lines := c.transcript()
	if len(lines) != 130 || lines[0].Text != "1" || lines[129].Text != "130" {
		t.Errorf("%d messages were read back", len(lines))
	}
	c.await(`document.querySelector('#motd').hidden && !document.querySelector('#menu-unread').textContent.includes('1')`)
}

// TestChatSender checks that a message shows who sent it, as the server has verified it,
// and that no data makes it look as if somebody else had.
func TestChatSender(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	front := startDemo(t)
	ada, mallory := newChatter(t, "ada", front), newChatter(t, "mallory", front)
	ada.say("It is me")
	mallory.await(shownBy("It is me", "ada", true))
	mallory.await(`!document.querySelector('.live .own')`)

	// With a token, data may claim anything: the token says who it is.
	var published bool
	mallory.b.Evaluate(`(async () => {
		const { token } = await (await fetch('/demo/token', { method: 'POST', body: JSON.stringify({ name: 'mallory' }) })).json();
		const forged = { name: 'ada', from: 'ada', verified: 'true', text: 'I am ada' };
		const post = (path, data) => fetch(path, { method: 'POST', body: JSON.stringify(data), headers: { Authorization: 'Bearer ' + token, 'Content-Type': 'application/json' } });
		const posted = [await post('/v1/channels/chat%2Flobby/messages?from=ada', forged),
			await post('/v1/channels/chat%2Flobby/messages?type=typing&ephemeral', { name: 'grace' })];
		return posted.every(({ status }) => status === 201);
	})()`, &published)
	if !published {
		t.Fatal("nothing was published")
	}
	ada.await(shownBy("I am ada", "mallory", true))
	ada.await(`!document.querySelector('#typing').textContent.includes('grace')`)

	// Without a token a name is what it is called, and is marked as unverified, for ada too.
	forged, typing := `{"name": "ada", "from": "ada", "text": "I am ada without a token"}`, `{"name": "grace"}`
	for _, args := range [][]string{{forged}, {typing, "--type", "typing", "--ephemeral"}, {`{"name": "ada \u2713", "text": "with a mark"}`}} {
		runToEnd(t, append([]string{"publish", "chat/lobby", "--json", "--url", front}, args...)...).wantExit(exitOK)
	}
	for _, c := range []*chatter{ada, mallory} {
		c.await(shownBy("I am ada without a token", "ada", false))
		c.await(shownBy("with a mark", "ada ✓", false))
		c.await(fmt.Sprintf(`[...document.querySelectorAll('.live .own')].every(e => e.dataset.name === %s && e.dataset.verified === 'true')`, quoted(c.name)))
		c.await(`!document.querySelector('#typing').textContent`)
	}
	ada.b.WantNoComplaints()
}

// shownBy is the condition that a page shows a message of a sender, as verified or as
// unverified.
func shownBy(text, name string, verified bool) string {
	return fmt.Sprintf(`[...document.querySelectorAll('.live .message')].some(e => {
		const visible = (part) => e.querySelector(part).checkVisibility() || e.classList.contains('own');
		return e.querySelector('.text').textContent === %s && e.querySelector('.name').textContent === %s && e.querySelector('.verified').hidden === %t &&
			e.querySelector('.unverified').hidden === %t && visible('.name') && visible('.verified') === %t;
	})`, quoted(text), quoted(name), !verified, verified, verified)
}

// TestChatSimple checks that the page is a simple chat on a node without tokens.
func TestChatSimple(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	_, node := startNode(t, "--http-chat")
	c := newChatter(t, "ada", node)
	c.await(`!document.querySelector('#simple').hidden && document.querySelector('#directs-section').hidden && document.querySelector('#people-section').hidden`)
	c.say("Hello")
	c.awaitText("Hello")
	for _, s := range chatScreens {
		c.b.Show(s)
		c.b.WantFit(s)
	}
	wantQuiet(c.b, "404") // of the token desk, which this node lacks
}

// focus gives an element the keyboard focus, as Tab would.
func (c *chatter) focus(selector string) {
	c.t.Helper()
	c.await(fmt.Sprintf(`(document.querySelector(%[1]s).focus(), document.activeElement === document.querySelector(%[1]s))`, quoted(selector)))
}
