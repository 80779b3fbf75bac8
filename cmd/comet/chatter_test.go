package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"comet/gateway/web/browsertest"
)

// chatter is a user of the chat, with their own browser.
type chatter struct {
	t     testing.TB
	name  string
	b     *browsertest.Browser   // the tab that is open
	tabs  []*browsertest.Browser // all tabs, with closed ones
	front string
}

// newChatter opens the chat in a new browser and signs in.
func newChatter(t testing.TB, name, front string) *chatter {
	t.Helper()
	c := &chatter{t: t, name: name, b: browsertest.Start(t), front: front}
	c.enter()
	return c
}

// newTab opens the chat in a new tab.
func (c *chatter) newTab() {
	c.t.Helper()
	c.b = c.b.NewTab()
	c.enter()
}

func (c *chatter) enter() {
	c.t.Helper()
	c.tabs = append(c.tabs, c.b)
	c.b.Show(browsertest.Screen{Width: 1100, Height: 720})
	c.b.Open(c.front)
	c.signIn()
}

func (c *chatter) signIn() {
	c.t.Helper()
	c.await(`document.querySelector('#sign-in').open`)
	c.b.Evaluate(`(document.querySelector('#name').focus(), document.querySelector('#name').select(), true)`, new(bool))
	press(c.b, c.name)
	press(c.b, "Enter")
	c.awaitConnected()
}

// await waits until a JavaScript condition is met, or ends the test with what the
// page shows instead.
func (c *chatter) await(condition string) {
	c.t.Helper()
	var instead string
	c.b.Evaluate(fmt.Sprintf(`new Promise(done => {
		const late = Date.now() + 40_000;
		const look = () => (%s) ? done('') : Date.now() > late ? done(document.body.innerText) : setTimeout(look, 20);
		look();
	})`, condition), &instead)
	if instead != "" {
		c.t.Fatalf("%s waits in vain for %s\nThe page shows:\n%s", c.name, condition, instead)
	}
}

func (c *chatter) awaitConnected() {
	c.t.Helper()
	c.await(`document.querySelector('#status').dataset.state === 'connected'`)
}

// noneWaits is true when all messages of the page were published and came back.
const noneWaits = `!document.querySelector('.pending .message')`

// awaitText waits for a message with the text in the open conversation.
func (c *chatter) awaitText(text string) {
	c.t.Helper()
	c.await(fmt.Sprintf(`[...document.querySelectorAll('.live .text, .older .text')].some(e => e.textContent.includes(%s))`, quoted(text)))
}

// awaitPeople waits until exactly these names are listed, in order.
func (c *chatter) awaitPeople(names ...string) {
	c.t.Helper()
	c.await(fmt.Sprintf(`[...document.querySelectorAll('#people .name')].map(e => e.textContent).join() === %s`, quoted(strings.Join(names, ","))))
}

// open opens a conversation as its link does.
func (c *chatter) open(place string) {
	c.t.Helper()
	title := "#" + place
	if name, direct := strings.CutPrefix(place, "@"); direct {
		title = name
	}
	c.b.Evaluate(fmt.Sprintf(`(location.hash = '#' + %s, true)`, quoted(place)), new(bool))
	c.await(fmt.Sprintf(`document.querySelector('#title').textContent === %s`, quoted(title)))
}

// typeOnly types without sending.
func (c *chatter) typeOnly(text string) {
	c.t.Helper()
	c.b.Evaluate(`(document.querySelector('#text').focus(), true)`, new(bool))
	press(c.b, text)
}

// say types and sends.
func (c *chatter) say(text string) {
	c.t.Helper()
	c.typeOnly(text)
	press(c.b, "Enter")
}

// setOffline disconnects the page from the network, or connects it.
func (c *chatter) setOffline(offline bool) {
	c.t.Helper()
	c.b.Call("Network.emulateNetworkConditions", map[string]any{"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}, nil)
}

// watchTyping starts to watch whether the page says that other is typing, which it
// does for some seconds only.
func (c *chatter) watchTyping(other *chatter) {
	c.t.Helper()
	c.b.Evaluate(fmt.Sprintf(`(window.sawTyping = false, new MutationObserver(() => {
		window.sawTyping ||= document.querySelector('#typing').textContent === %s;
	}).observe(document.querySelector('#typing'), {childList: true}), true)`, quoted(other.name+" is typing…")), new(bool))
}

// sawTyping reports whether the page said so since watchTyping or says so within 3 s.
func (c *chatter) sawTyping() (saw bool) {
	c.t.Helper()
	c.b.Evaluate(`new Promise(done => {
		const late = Date.now() + 3000, look = () => window.sawTyping || Date.now() > late ? done(window.sawTyping) : setTimeout(look, 20);
		look();
	})`, &saw)
	return saw
}

// line is a message as the page shows it.
type line struct{ ID, Name, Text string }

// transcript reads the open conversation back to its beginning and returns all of it.
func (c *chatter) transcript() (lines []line) {
	c.t.Helper()
	c.await(`(document.querySelector('#scroller').scrollTop = 0, document.querySelector('.top').textContent.startsWith('This is the beginning'))`)
	c.b.Evaluate(`[...document.querySelectorAll('.older .message, .live .message')].map(e => ({ID: e.dataset.id, Name: e.dataset.name, Text: e.querySelector('.text').textContent}))`, &lines)
	return lines
}

// gaps returns the lines that say that messages may be missing.
func (c *chatter) gaps() (lines []string) {
	c.t.Helper()
	c.b.Evaluate(`[...document.querySelectorAll('.log .gap')].map(e => e.textContent)`, &lines)
	return lines
}

// complaints returns the lines in the consoles of all tabs.
func (c *chatter) complaints() (all []complaint) {
	c.t.Helper()
	for _, tab := range c.tabs {
		for _, raw := range tab.Events["Log.entryAdded"] {
			var e struct {
				Entry struct {
					Source, Text, URL string
					Timestamp         float64 // ms
				}
			}
			c.decode(raw, &e)
			all = append(all, complaint{source: e.Entry.Source, text: e.Entry.Text, url: e.Entry.URL, at: time.UnixMilli(int64(e.Entry.Timestamp)), raw: raw})
		}
		for _, raw := range tab.Events["Runtime.consoleAPICalled"] {
			var e struct {
				Type      string
				Timestamp float64 // ms
				Args      []struct{ Value any }
			}
			c.decode(raw, &e)
			all = append(all, complaint{source: e.Type, text: fmt.Sprint(e.Args[0].Value), at: time.UnixMilli(int64(e.Timestamp)), raw: raw})
		}
		for _, raw := range tab.Events["Runtime.exceptionThrown"] {
			all = append(all, complaint{source: "exception", raw: raw})
		}
	}
	return all
}

func (c *chatter) decode(raw json.RawMessage, into any) {
	c.t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		c.t.Fatalf("%s: %v", raw, err)
	}
}

// quoted returns text as a JavaScript string.
func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}
