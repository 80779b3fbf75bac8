package gateway_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"comet/gateway"
	"comet/gateway/web/browsertest"
)

// Any message stays text in the chat of a real browser.
func TestChatShowsText(t *testing.T) {
	t.Parallel()
	b := browsertest.Start(t)
	c := overMemory(t, setup{gateway: gateway.Options{Chat: true}})
	page := c.nodes[0].url + "/#lobby"
	hostile := []string{
		`<img src=x onerror="window.owned = 1">`,
		`<script>window.owned = 2</script>`,
		`<svg/onload=window.owned=3>`,
		`"><iframe srcdoc="<script>parent.owned = 4</script>">`,
		`javascript:window.owned=5`,
		`</p></article><a href="javascript:window.owned=6">x</a>`,
	}
	for _, text := range hostile {
		for _, data := range []any{text, map[string]string{"text": text, "name": text, "node": text, "key": text}, map[string]any{"html": text}, []string{text}} {
			body, err := json.Marshal(data)
			if err != nil {
				t.Fatal(err)
			}
			c.publish("chat/lobby", string(body))
		}
	}
	b.Open(page)
	b.Evaluate(`(sessionStorage.setItem('comet.name', '<img src=x onerror="window.owned = 7">'), true)`, new(bool))
	b.Open(c.nodes[0].url + "/?again#lobby")
	var found struct {
		Texts    []string
		Elements int
		Owned    bool
	}
	b.Evaluate(fmt.Sprintf(`new Promise(done => {
		const look = () => {
			const messages = [...document.querySelectorAll('.live .message')];
			if (messages.length < %d) return setTimeout(look, 20);
			done({
				texts: messages.map(m => m.querySelector('.text').textContent),
				elements: document.querySelectorAll('main img, main script, main svg, main iframe, main a, nav img:not([src="/favicon.svg"])').length,
				owned: window.owned !== undefined,
			});
		};
		look();
	})`, 4*len(hostile)), &found)
	if found.Elements > 0 || found.Owned {
		t.Errorf("%d elements came of messages, script ran: %v", found.Elements, found.Owned)
	}
	for i, text := range found.Texts[:4*len(hostile)] {
		if want := hostile[i/4]; i%4 < 2 && text != want {
			t.Errorf("message %d is shown as %q, want %q", i, text, want)
		}
	}
}
