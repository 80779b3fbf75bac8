package gateway_test

import (
	"net/http"
	"testing"

	"comet/gateway/wire"
	"comet/pubsub"
)

// What the body becomes depends on the Content-Type.
func TestPublishBody(t *testing.T) {
	tests := []struct{ name, contentType, body, data string }{
		{"JSON", asJSON, `{"a": [1, "x"]}`, `{"a":[1,"x"]}`},
		{"a kind of JSON", "application/ld+json; charset=utf-8", ` null `, `null`},
		{"text", "text/plain", `{"a":1}`, `"{\"a\":1}"`},
		{"text of lines", "text/plain; charset=utf-8", "é\n<b>", `"é\n<b>"`},
		{"JSON by curl", "application/x-www-form-urlencoded", `{"a": 1}`, `{"a":1}`},
		{"text by curl", "application/x-www-form-urlencoded", `hello there`, `"hello there"`},
		{"no type", "", `hello`, `"hello"`},
		{"empty", "", ``, `""`},
		{"quoted charset", `text/plain; charset="UTF-8"`, "é", `"é"`},
		{"ASCII", "text/plain; charset=US-ASCII", "e", `"e"`},
		{"JSON with a byte order mark", asJSON, "\uFEFF{\"a\": 1}", `{"a":1}`},
		{"JSON by curl with a byte order mark", "application/x-www-form-urlencoded", "\uFEFF{\"a\": 1}", `{"a":1}`},
		{"text with a byte order mark", "text/plain", "\uFEFFhello", `"hello"`},
		{"text with two", "text/plain", "\uFEFF\uFEFFhello", "\"\uFEFFhello\""},
		{"a byte order mark alone", "text/plain", "\uFEFF", `""`},
	}
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for _, test := range tests {
			r := c.accepted(post(publishTo, test.body, "Content-Type", test.contentType))
			got := c.history("c", "order=desc&limit=1").Messages[0]
			if string(got.Data) != test.data || got.Type != pubsub.DefaultType || got.ID.String() != r.ID || r.Duplicate {
				t.Errorf("%s: got %s, type %s, as %+v; want %s", test.name, got.Data, got.Type, r, test.data)
			}
		}
	})
}

// A channel in the path is what is behind the percent signs, and slashes in
// it may stay.
func TestPublishPath(t *testing.T) {
	tests := []struct{ path, channel string }{
		{"news", "news"},
		{"chat/42", "chat/42"},
		{"chat%2F43", "chat/43"},
		{"a//b", "a//b"},
		{"/a/", "/a/"},
		{"a/messages", "a/messages"},
		{"..", ".."},
		{"%2e%2e/x", "../x"},
		{"a/../b", "a/../b"},
		{".", "."},
		{"a%20b", "a b"},
		{"a+b", "a+b"},
		{"100%25", "100%"},
		{"%E2%82%AC/€", "€/€"},
		{"a%3Fb%23c", "a?b#c"},
	}
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for _, test := range tests {
			path := "/v1/channels/" + test.path + "/messages"
			r := c.accepted(post(path, "1"))
			if r.Channel != test.channel {
				t.Errorf("%s is channel %q, want %q", test.path, r.Channel, test.channel)
			}
			s := c.open(channels(test.channel) + "&last=1")
			s.want("ready", "1")
			s.leave()
			if a := c.send(get(path)); a.status != http.StatusOK {
				t.Errorf("history of %s: %d %s", test.path, a.status, a.body)
			}
		}
	})
}

func TestPublishType(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		s := c.open("channel=c")
		s.want("ready")
		c.accepted(post(publishTo+"?type=tick", "1"))
		if m := s.next().Message; m.Type != "tick" || m.Channel != "c" {
			t.Errorf("got %+v", m)
		}
	})
}

// An ephemeral message reaches who is there, and moves and leaves nothing.
func TestPublishEphemeral(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		var streams []*stream
		for _, n := range c.nodes {
			s := c.openAt(n, "channel=c")
			s.want("ready")
			streams = append(streams, s)
		}
		id := c.publish("c", "1")
		for _, target := range []string{"?ephemeral=true", "?ephemeral"} {
			if r := c.accepted(post(publishTo+target, "2")); r != (receipt{Channel: "c"}) {
				t.Errorf("got %+v, want no ID", r)
			}
		}
		for _, s := range streams {
			s.want("1", "2", "2")
			if s.cursor != id {
				t.Errorf("moved from %s to %s", id, s.cursor)
			}
		}
		if h := c.history("c", ""); len(h.Messages) != 1 {
			t.Errorf("history %q", datas(h.Messages))
		}
	})
}

// The second try of a publish is answered like the first, whichever node it
// goes to, and nobody gets the message twice.
func TestPublishIdempotent(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		s := c.open("channel=c")
		s.want("ready")
		try := post(publishTo, "1", "Idempotency-Key", "k-1")
		first := c.accepted(try)
		again := c.accepted(try)
		if first.Duplicate || !again.Duplicate || again.ID != first.ID {
			t.Errorf("first %+v, again %+v", first, again)
		}
		batch := `{"channel":"c","data":2,"key":"k-2"}` + "\n" + `{"channel":"c","data":2,"key":"k-2"}` + "\n" + `{"channel":"c","data":1,"key":"k-1"}`
		results := c.batch(asLines, batch)
		if results[0].Duplicate || !results[1].Duplicate || results[1].ID != results[0].ID || results[2].ID != first.ID {
			t.Errorf("batch: %+v", results)
		}
		elsewhere := c.accepted(post("/v1/channels/d/messages", "1", "Idempotency-Key", "k-1"))
		if elsewhere.Duplicate {
			t.Error("the key of one channel counted in another")
		}
		c.publish("c", "3")
		s.want("1", "2", "3")
	})
}

// An idempotency key belongs to the user or API key that sends it, by either
// way to publish. Another message under one's own key is a 409.
func TestPublishKeyOwner(t *testing.T) {
	overEach(t, setup{access: guarded(t)}, func(t *testing.T, c *cluster) {
		senders := map[string]string{
			"mallory": token(t, map[string]any{"sub": "mallory"}), "alice": token(t, nil),
			"a user with the key's name": token(t, map[string]any{"sub": "backend"}), "the key": keyText,
		}
		for name, credential := range senders {
			header := append(bearer(credential), "Idempotency-Key", "order-17", "Content-Type", asJSON)
			r := c.accepted(post(publishTo, `{"by": "`+name+`"}`, header...))
			again := c.accepted(post(publishTo, `{"by":"`+name+`"}`, header...)) // white space says nothing
			if r.Duplicate || !again.Duplicate || again.ID != r.ID {
				t.Errorf("%s: %+v, again %+v", name, r, again)
			}
			w := want{409, "idempotency-key-reused", "new key"}
			wantProblem(t, name, c.send(post(publishTo, "2", header...)), w)
			wantProblem(t, name+", type", c.send(post(publishTo+"?type=note", `{"by":"`+name+`"}`, header...)), w)
			lines := `{"channel":"c","data":3,"key":"order-17"}` + "\n" + `{"channel":"c","data":{"by":"` + name + `"},"key":"order-17"}`
			a := c.send(post("/v1/publish", lines, append(bearer(credential), "Content-Type", asLines)...))
			results := decode[struct{ Results []result }](t, a.body).Results
			if len(results) != 2 || results[0].Error == nil || results[0].Error.Status != 409 || !results[1].Duplicate || results[1].ID != r.ID {
				t.Errorf("%s: batch: %s", name, a.body)
			}
		}
		a := c.send(get(channelPath("c"), bearer(keyText)...))
		if h, err := wire.ParseHistory([]byte(a.body)); err != nil || len(h.Messages) != len(senders) {
			t.Errorf("history: %s, %v", a.body, err)
		}
	})
}
