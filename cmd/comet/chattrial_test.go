package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// chatTrial is three people in three browsers on three nodes, with their messages
// and the times of trouble.
type chatTrial struct {
	t       *testing.T
	world   *chatWorld
	people  []*chatter
	said    map[string][]string // texts by author, in the lobby
	private map[string][]string // between the first two
	number  int                 // of texts

	windows  []window
	restarts int // of Redis
	network  time.Duration
}

// window is a time of trouble: requests may fail in it.
type window struct{ from, to time.Time }

func newChatTrial(t *testing.T, network time.Duration) *chatTrial {
	t.Helper()
	// Tokens are renewed again and again: each lives for some seconds.
	c := &chatTrial{t: t, world: newChatWorld(t, 3, 15*time.Second), said: map[string][]string{}, private: map[string][]string{}, network: network}
	for i, name := range []string{"ada", "grace", "linus"} {
		c.people = append(c.people, newChatter(t, name, c.world.front(i)))
	}
	for _, p := range c.people {
		p.awaitPeople(c.names()...)
	}
	return c
}

func (c *chatTrial) names() (all []string) {
	for _, p := range c.people {
		all = append(all, p.name)
	}
	return all
}

// newText returns a text that is new in the chat.
func (c *chatTrial) newText(who *chatter) string {
	c.number++
	return fmt.Sprintf("%s says no. %d.", who.name, c.number)
}

// talk has every person say something in the lobby, times times.
func (c *chatTrial) talk(times int) {
	c.t.Helper()
	for range times {
		for _, p := range c.people {
			c.say(p)
		}
	}
}

func (c *chatTrial) say(p *chatter) {
	c.t.Helper()
	text := c.newText(p)
	p.say(text)
	c.said[p.name] = append(c.said[p.name], text)
}

// settle waits until all are connected and have the last message of each person.
func (c *chatTrial) settle() {
	c.t.Helper()
	for _, p := range c.people {
		p.awaitConnected()
		p.await(noneWaits)
		for _, texts := range c.said {
			p.awaitText(texts[len(texts)-1])
		}
	}
}

// trouble calls do, and waits until all pages have recovered.
func (c *chatTrial) trouble(do func()) {
	c.t.Helper()
	from := time.Now()
	do()
	c.settle()
	c.windows = append(c.windows, window{from, time.Now()})
}

// typing checks that the others see that ada is typing, and that it ends.
func (c *chatTrial) typing() {
	c.t.Helper()
	ada, others := c.people[0], c.people[1:]
	for _, p := range others {
		p.watchTyping(ada)
	}
	typed := ""
	// Typing is not reported just while a token is renewed: type on, as a person does.
	for typed == "" || !others[0].sawTyping() || !others[1].sawTyping() {
		if len(typed) > 100 {
			c.t.Fatal("a page does not show that ada is typing")
		}
		typed += "Well, "
		ada.typeOnly("Well, ")
	}
	press(ada.b, "Enter") // what has been typed is said
	c.said[ada.name] = append(c.said[ada.name], strings.TrimSpace(typed))
	for _, p := range others {
		p.await(`document.querySelector('#typing').textContent === ''`)
	}
}

// direct has two people talk in a direct conversation, without the third.
func (c *chatTrial) direct() {
	c.t.Helper()
	ada, grace := c.people[0], c.people[1]
	for i, p := range []*chatter{ada, grace, ada} {
		other := []*chatter{grace, ada, grace}[i]
		p.open("@" + other.name)
		text := c.newText(p)
		p.say(text)
		p.open("lobby")
		c.private[p.name] = append(c.private[p.name], text)
		other.await(fmt.Sprintf(`[...document.querySelectorAll('#directs li')].some(e => e.querySelector('.name').textContent === %s && !e.querySelector('.unread').hidden)`, quoted(p.name)))
		other.open("@" + p.name)
		other.awaitText(text)
		other.open("lobby")
	}
}

// reopen closes the tab of p and opens a new one: p leaves the lists of the others
// and comes back.
func (c *chatTrial) reopen(p *chatter) {
	c.t.Helper()
	c.say(p)
	p.b.CloseTab()
	rest := slices.DeleteFunc(c.names(), func(name string) bool { return name == p.name })
	for _, other := range c.people {
		if other != p {
			other.awaitPeople(rest...)
			c.say(other)
		}
	}
	p.newTab()
	c.everyoneThere()
}

func (c *chatTrial) everyoneThere() {
	c.t.Helper()
	for _, p := range c.people {
		p.awaitPeople(c.names()...)
	}
}

// killNode kills the node of p, whose page continues on another.
func (c *chatTrial) killNode(p *chatter) {
	c.t.Helper()
	name := text(p.b, "#status .node")
	i := slices.IndexFunc(c.world.nodes, func(n *chatNode) bool { return n.name == name })
	if i < 0 {
		c.t.Fatalf("%s is on %q, an unknown node", p.name, name)
	}
	c.world.kill(i)
	c.talk(2)
	p.await(fmt.Sprintf(`document.querySelector('#status').textContent.startsWith('connected to node-') && document.querySelector('#status .node').textContent !== %s`, quoted(name)))
	c.talk(1)
	c.world.start(i)
	c.talk(1)
}

func (c *chatTrial) restartRedis() {
	c.t.Helper()
	c.restarts++
	c.talk(1)
	c.world.redis.Stop()
	c.talk(1)
	c.world.redis.Restart()
	c.talk(1)
}

// cutNetwork disconnects p, who writes two messages meanwhile.
func (c *chatTrial) cutNetwork(p *chatter) {
	c.t.Helper()
	back := time.After(c.network)
	p.setOffline(true)
	p.await(`!document.querySelector('#banner').hidden && document.querySelector('#banner').textContent.startsWith('You are offline')`)
	c.talk(2)
	p.await(`document.querySelectorAll('.pending .message').length === 2`)
	<-back
	p.setOffline(false)
	p.await(`document.querySelector('#banner').hidden`)
}

// wantTranscripts compares the whole conversations of every page with the messages
// of the trial.
func (c *chatTrial) wantTranscripts() {
	c.t.Helper()
	c.wantTranscript("lobby", c.people, func(*chatter) string { return "lobby" }, c.said)
	pair := c.people[:2]
	c.wantTranscript("between two", pair, func(p *chatter) string {
		if p == pair[0] {
			return "@" + pair[1].name
		}
		return "@" + pair[0].name
	}, c.private)
}

func (c *chatTrial) wantTranscript(what string, people []*chatter, place func(*chatter) string, said map[string][]string) {
	c.t.Helper()
	var first []line
	for _, p := range people {
		p.open(place(p))
		lines := p.transcript()
		if first == nil {
			first = lines
		}
		if !slices.Equal(first, lines) {
			c.t.Errorf("%s: the transcript of %s differs from that of %s: %s", what, p.name, people[0].name, firstDifference(first, lines))
		}
		by := map[string][]string{}
		for _, l := range lines {
			by[l.Name] = append(by[l.Name], l.Text)
		}
		for name, texts := range said {
			if !slices.Equal(by[name], texts) {
				c.t.Errorf("%s, as %s sees it: %s said %d messages, %d are there: %s", what, p.name, name, len(texts), len(by[name]), firstDifference(texts, by[name]))
			}
		}
		if gaps := p.gaps(); len(gaps) > c.restarts || slices.ContainsFunc(gaps, func(g string) bool { return !strings.Contains(g, "(failover)") }) {
			c.t.Errorf("%s: the page of %s reports %q, after %d restarts of Redis", what, p.name, gaps, c.restarts)
		}
	}
	c.t.Logf("%s: %d messages, the same in %d browsers", what, len(first), len(people))
}

func firstDifference[T comparable](a, b []T) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("no. %d is %v and %v", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(a), len(b))
}

// wantQuietConsoles allows four kinds of lines in a console. The browser logs
// requests that failed during trouble, and requests with an expired token, after
// which comet.js gets a new one. comet.js warns if it gets no token during trouble, and
// once if it has failed twice in a row.
func (c *chatTrial) wantQuietConsoles() {
	c.t.Helper()
	excused := 0
	for _, p := range c.people {
		for _, e := range p.complaints() {
			if c.excuses(p, e) {
				excused++
				continue
			}
			c.t.Errorf("the console of %s: %s", p.name, e.raw)
		}
	}
	c.t.Logf("%d requests failed, by %d troubles or an expired token", excused, len(c.windows))
}

func (c *chatTrial) excuses(p *chatter, e complaint) bool {
	inTrouble := slices.ContainsFunc(c.windows, func(w window) bool { return e.at.After(w.from.Add(-time.Second)) && e.at.Before(w.to.Add(time.Second)) })
	switch e.source {
	case "network":
		ofServer := strings.HasPrefix(e.url, p.front+"/v1/") || e.url == p.front+demoTokenPath
		return ofServer && (inTrouble || strings.Contains(e.text, "status of 401"))
	case "warning":
		return inTrouble && (strings.HasPrefix(e.text, "comet: no token") || strings.HasPrefix(e.text, "comet: retry:"))
	}
	return false
}

// complaint is a line in the console of a page.
type complaint struct {
	source, text, url string // source is "network", or the kind of line
	at                time.Time
	raw               json.RawMessage
}
