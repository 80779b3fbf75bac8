package cometjs

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway/web/browsertest"
)

// script makes what a tab has: listen subscribes and keeps what comes, caught
// resolves with it when there is enough.
const script = `import('/comet.js').then(({ Comet }) => {
	const all = globalThis.all = [];
	globalThis.listen = (channels, options, settings) => new Promise((done) => {
		const kept = { data: [], gaps: 0, errors: [] }, subscription = new Comet(undefined, settings).subscribe(channels, options);
		all.push(kept);
		kept.subscription = subscription;
		subscription.on('message', ({ data }) => kept.data.push(data));
		subscription.on('gap', () => kept.gaps++);
		subscription.on('error', (error) => { kept.errors.push(error.message); done(false); });
		subscription.on('ready', () => done(true));
	});
	globalThis.caught = (n) => new Promise((done) => {
		const look = () => all.every(({ data, errors }) => data.length >= n || errors.length) ? done(all) : setTimeout(look, 20);
		look();
	});
	return true;
})`

// tabs is a browser with tabs that use a cluster.
type tabs struct {
	*cluster
	first *browsertest.Browser
}

func newTabs(t *testing.T) *tabs {
	b := browsertest.Start(t)
	return &tabs{newCluster(t), b}
}

// open loads the page into a tab.
func (w *tabs) open(b *browsertest.Browser) *browsertest.Browser {
	w.t.Helper()
	b.Open(w.url + "/-/page")
	b.Evaluate(script, new(bool))
	return b
}

// listen subscribes and waits until it is connected; the arguments are
// JavaScript.
func (w *tabs) listen(b *browsertest.Browser, arguments string) {
	w.t.Helper()
	var connected bool
	if b.Evaluate("listen("+arguments+")", &connected); !connected {
		w.t.Fatalf("listen(%s) failed", arguments)
	}
}

// caught is the list of messages of a subscription.
type caught struct {
	Data   []int
	Gaps   int
	Errors []string
}

// caught waits for n messages in each subscription of a tab.
func (w *tabs) caught(b *browsertest.Browser, n int) (all []caught) {
	w.t.Helper()
	b.Evaluate(fmt.Sprintf("caught(%d).then((all) => all.map(({ data, gaps, errors }) => ({ data, gaps, errors })))", n), &all)
	return all
}

// wantAll says that each subscription of a tab has the numbers from first to
// last, once and in order, and nothing else.
func (w *tabs) wantAll(b *browsertest.Browser, first, last int) {
	w.t.Helper()
	for i, c := range w.caught(b, last-first+1) {
		if want := numbers(first, last); !slices.Equal(c.Data, want) || c.Gaps > 0 || len(c.Errors) > 0 {
			w.t.Errorf("subscription %d: %d messages %v, %d gaps, errors %q; want %d to %d", i, len(c.Data), c.Data, c.Gaps, c.Errors, first, last)
		}
	}
}

func numbers(first, last int) (all []int) {
	for n := first; n <= last; n++ {
		all = append(all, n)
	}
	return all
}

func (w *tabs) ask(method, path, body string, header ...string) string {
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		w.t.Fatalf("%s %s: %s %s, %v", method, path, res.Status, answer, err)
	}
	return string(answer)
}

func (w *tabs) publish(channel string, first, last int) {
	w.t.Helper()
	for n := first; n <= last; n++ {
		w.ask(http.MethodPost, "/v1/channels/"+channel+"/messages", fmt.Sprint(n))
	}
}

// wantStreams waits until want streams are open.
func (w *tabs) wantStreams(want int) {
	w.t.Helper()
	w.await(func(open, _ int) bool { return open == want }, "streams", want)
}

// wantChannels waits until the newest stream has want channels.
func (w *tabs) wantChannels(want int) {
	w.t.Helper()
	w.await(func(_, channels int) bool { return channels == want }, "channels", want)
}

func (w *tabs) await(done func(open, channels int) bool, what string, want int) {
	w.t.Helper()
	var got struct{ Open, Channels int }
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if err := json.Unmarshal([]byte(w.ask(http.MethodGet, "/-/streams", "")), &got); err != nil {
			w.t.Fatal(err)
		}
		if done(got.Open, got.Channels) {
			return
		}
	}
	w.t.Errorf("%+v, want %d %s", got, want, what)
}

// Tabs have one connection. When the one that has it goes, another goes on
// where it stopped.
func TestTabsShare(t *testing.T) {
	t.Parallel()
	w := newTabs(t)
	a := w.open(w.first)
	w.listen(a, `'open/a'`)
	b, c := w.open(a.NewTab()), w.open(a.NewTab())
	w.listen(b, `['open/a', 'open/b']`)
	w.listen(c, `'open/a', { last: 5 }`)
	w.wantStreams(1)
	w.publish("open/a", 0, 99)
	for _, tab := range []*browsertest.Browser{a, b, c} {
		w.wantAll(tab, 0, 99)
	}
	a.CloseTab()
	w.publish("open/a", 100, 149)
	w.wantAll(b, 0, 149)
	w.wantAll(c, 0, 149)
	w.wantStreams(1)

	d := w.open(b.NewTab()) // it catches up, and then shares
	w.listen(d, `'open/a', { cursor: 'earliest' }`)
	w.publish("open/a", 150, 159)
	for _, tab := range []*browsertest.Browser{b, c, d} {
		w.wantAll(tab, 0, 159)
	}
	w.wantStreams(1)
}

// While tabs come and go, the ones that are there lose and repeat nothing.
func TestTabsComeAndGo(t *testing.T) {
	t.Parallel()
	w := newTabs(t)
	const messages, rounds = 1000, 10
	leader := w.open(w.first)
	w.listen(leader, `'open/c'`)
	stays := w.open(leader.NewTab())
	w.listen(stays, `'open/c'`)
	published := make(chan struct{})
	go func() {
		defer close(published)
		w.publish("open/c", 0, messages-1)
	}()
	for round := range rounds {
		next := w.open(leader.NewTab())
		w.listen(next, fmt.Sprintf(`['open/c', 'open/other%d'], { cursor: { 'open/c': '0-0' } }`, round))
		w.listen(next, `'open/c', { cursor: 'earliest' }`)
		leader.CloseTab()
		leader = next
	}
	<-published
	w.wantAll(stays, 0, messages-1)
	w.wantAll(leader, 0, messages-1)
	w.wantStreams(1)
	w.wantChannels(2) // those of tabs that are gone are left out
}

// All clients of a page share one connection.
func TestManyClientsShare(t *testing.T) {
	t.Parallel()
	w := newTabs(t)
	b := w.open(w.first)
	var ready []bool
	b.Evaluate(`Promise.all(Array.from({ length: 200 }, (_, i) => listen(['open/d', 'open/d' + i % 50])))`, &ready)
	if len(ready) != 200 || slices.Contains(ready, false) {
		t.Fatalf("ready: %v", ready)
	}
	w.wantStreams(1)
	w.publish("open/d", 0, 9)
	w.wantAll(b, 0, 9)
	// More channels than a stream takes need another.
	b.Evaluate(`Promise.all(Array.from({ length: 30 }, (_, i) => listen(['open/more' + i])))`, &ready)
	w.wantStreams(2)
}

// Users never share, unlike tokens of one user; nor do tabs with share: false.
func TestUsersDoNotShare(t *testing.T) {
	t.Parallel()
	w := newTabs(t)
	a := w.open(w.first)
	token := func(user string) string {
		return `{ token: '` + w.ask(http.MethodGet, "/-/token?seconds=600&user="+user, "") + `' }`
	}
	for i, user := range []string{"alice", "bob", "alice"} {
		tab := a
		if i > 0 {
			tab = w.open(a.NewTab())
		}
		w.listen(tab, `'private/e', {}, `+token(user))
	}
	w.wantStreams(2)
	w.listen(a, `'open/e', {}, { share: false }`)
	w.listen(a, `'open/e', {}, { share: false }`)
	w.wantStreams(4)
	w.listen(a, `'open/e', {}, { share: 'ours', credentials: 'same-origin' }`)
	w.listen(a, `'open/e', {}, { share: 'ours', credentials: 'same-origin' }`)
	w.wantStreams(5)
}

// While the browser is offline messages wait, and those of others are caught up
// with when it is back.
func TestOffline(t *testing.T) {
	t.Parallel()
	w := newTabs(t)
	b := w.open(w.first)
	w.listen(b, `'open/f'`)
	w.publish("open/f", 0, 4)
	w.wantAll(b, 0, 4)
	network := func(offline bool) {
		b.Call("Network.emulateNetworkConditions", map[string]any{
			"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}, nil)
	}
	network(true)
	b.Evaluate(`import('/comet.js').then(({ Comet }) => {
		const comet = new Comet();
		globalThis.sent = Promise.all([10, 11, 12].map((n) => comet.publish('open/f', n)));
		return true;
	})`, new(bool))
	w.publish("open/f", 5, 9)
	var state string
	if b.Evaluate(`all[0].subscription.state`, &state); state != "connecting" {
		t.Errorf("the state is %q", state)
	}
	network(false)
	var ids []string
	b.Evaluate(`sent.then((receipts) => receipts.map(({ id }) => id))`, &ids)
	if len(ids) != 3 || !slices.IsSorted(ids) {
		t.Errorf("sent as %q", ids)
	}
	w.wantAll(b, 0, 12)
}

// A channel that is empty is one place, whenever a tab saw it empty: tabs that
// begin there share their connection before the first message too.
func TestTabsShareEmptyChannels(t *testing.T) {
	t.Parallel()
	w := newTabs(t)
	a := w.open(w.first)
	w.listen(a, `'open/g'`)
	var cursor map[string]string
	a.Evaluate(`all[0].subscription.cursor`, &cursor)
	b := w.open(a.NewTab())
	w.listen(b, `['open/g', 'open/h'], { last: 5 }`)
	c := w.open(b.NewTab())
	w.listen(c, fmt.Sprintf(`['open/h', 'open/g'], { cursor: { 'open/g': %q }, last: 5 }`, cursor["open/g"]))
	w.wantStreams(1)
	w.publish("open/g", 0, 9)
	for _, tab := range []*browsertest.Browser{a, b, c} {
		w.wantAll(tab, 0, 9)
	}
}
