package clienttest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"comet/gateway/web/browsertest"
	"comet/internal/testenv"
	"comet/pubsub/redistest"
)

// roomHTML has one chat room for both libraries, as the recipe has them, and an
// EventSource. Each of them gets what all of them publish.
const roomHTML = `<!doctype html><meta charset="utf-8"><title>room</title>
<script>
const seen = { cometd: [], faye: [], eventsource: [] }
const show = (who, data) => seen[who].push(data.text)
const source = new EventSource('%[1]s/v1/events?channel=room/1')
source.onmessage = ({ data }) => show('eventsource', JSON.parse(data).data)
</script>
%[2]s`

// The two libraries and an EventSource share a room, in Chromium and from another origin.
func TestBayeuxRoom(t *testing.T) {
	testenv.Large(t)
	dir := npm(t)
	binary := filepath.Join(t.TempDir(), "comet")
	build(t, ".", binary, "comet/cmd/comet")
	text, err := os.ReadFile("../../docs/recipes/bayeux.md")
	if err != nil {
		t.Fatal(err)
	}
	var html string
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, ok := strings.CutPrefix(r.URL.Path, "/npm/"); ok {
			serveModule(w, r, filepath.Join(dir, "node_modules", filepath.FromSlash(path)))
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, html)
	}))
	t.Cleanup(pages.Close)
	t.Cleanup(pages.CloseClientConnections)
	c := startBayeuxNodes(t, 2, binary, "--redis-addresses", redistest.Start(t).Addr(), "--http-cors-origins", pages.URL)
	var blocks string
	for _, found := range regexp.MustCompile("(?ms)^```html\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks += found[1]
	}
	html = fmt.Sprintf(roomHTML, c.proxy.URL, strings.ReplaceAll(blocks, "http://127.0.0.1:8080", c.proxy.URL))
	// The proxy answers whole requests, so the stream goes to a node itself.
	html = strings.Replace(html, c.proxy.URL+"/v1/events", "http://"+c.nodes[1].address+"/v1/events", 1)
	b := browsertest.Start(t)
	b.Open(pages.URL)
	var got string
	b.Evaluate(`new Promise(done => {
		const look = setInterval(() => {
			const all = Object.values(seen)
			if (all.every(texts => texts.includes('mine')) && seen.eventsource.length >= 3) { clearInterval(look); done(JSON.stringify(seen)) }
		}, 50)
		const publish = setInterval(() => {
			if (seen.eventsource.length < 2) return
			clearInterval(publish)
			fetch('http://`+c.nodes[0].address+`/v1/channels/room%2F1/messages', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ text: 'mine' }) })
		}, 50)
	})`, &got)
	t.Log(got)
	for _, who := range []string{"cometd", "faye", "eventsource"} {
		if !strings.Contains(got, `"`+who+`":[`) {
			t.Errorf("%s is not in %s", who, got)
		}
	}
	for _, once := range []string{"from CometD", "from Faye", "mine"} {
		if n := strings.Count(got, once); n < 2 || n > 3 { // a library that subscribed later has not the first one
			t.Errorf("%q came %d times: %s", once, n, got)
		}
	}
	b.WantNoComplaints()
}
