package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway"
	"comet/gateway/wire"
	"comet/pubsub"
)

// The Content-Type decides how the body becomes a message's data.
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

// A channel in the path is percent-decoded; slashes in it may stay as they are.
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
// goes to, and no client gets the message twice.
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

// result is one of a batch's.
type result struct {
	receipt
	Error *struct {
		Type   string `json:"type"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	} `json:"error"`
}

// batch publishes body and returns the results.
func (c *cluster) batch(contentType, body string) []result {
	c.t.Helper()
	a := c.send(post("/v1/publish", body, "Content-Type", contentType))
	if a.status != http.StatusOK || a.header.Get("Content-Type") != asJSON {
		c.t.Fatalf("batch: %d %s", a.status, a.body)
	}
	return decode[struct{ Results []result }](c.t, a.body).Results
}

// badItems are items of a batch that fail, with the problem of each.
var badItems = []struct{ item, problem, detail string }{
	{`5`, "invalid-body", "not a message"},
	{`"text"`, "invalid-body", "not a message"},
	{`{"channel":"c","data":1,"typ":"x"}`, "invalid-body", `"typ"`},
	{`{"data":1}`, "invalid-channel", "missing"},
	{`{"channel":"{c}","data":1}`, "invalid-channel", "{ or }"},
	{`{"channel":"c"}`, "invalid-body", "missing"},
	{`{"channel":"c","data":1,"type":"comet.x"}`, "invalid-type", "comet."},
	{`{"channel":"c","data":1,"key":"a b"}`, "invalid-key", "ASCII"},
	{`{"channel":"c","data":1,"key":"k","ephemeral":true}`, "invalid-key", "ephemeral"},
	{`{"channel":"c","data":"` + strings.Repeat("x", 100) + `"}`, "too-large", "limits.message"},
	{`{"channel":"secret","data":1}`, "forbidden", "auth.anonymous.publish"},
	{"{\"channel\":\"caf\xe9\",\"data\":1}", "invalid-channel", "UTF-8"},
	{`{"channel":"caf\ud800","data":1}`, "invalid-channel", "UTF-8"},
	{`{"channel":"caf\uDC00","data":1}`, "invalid-channel", "UTF-8"},
	{`{"channel":"\ud83d\u0041","data":1}`, "invalid-channel", "UTF-8"},
	{`{"channel":"\ud83d\ud83d\ude00","data":1}`, "invalid-channel", "UTF-8"},
	{`{"channel":"\ud83d\\ude00","data":1}`, "invalid-channel", "UTF-8"},
}

// A name in a batch may be escaped, and may have U+FFFD itself.
func TestBatchNames(t *testing.T) {
	names := map[string]string{
		`\ud83d\ude00`:     "😀",
		`caf\u00E9`:        "café",
		`\\ud800`:          `\ud800`,
		`caf\ufffd`:        "caf\uFFFD",
		"caf\uFFFD":        "caf\uFFFD",
		`\"\\\ud83d\uDE00`: `"\😀`,
	}
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for written, name := range names {
			r := c.batch(asLines, "\uFEFF"+`{"channel":"`+written+`","data":1}`)[0]
			if r.Error != nil || r.Channel != name {
				t.Errorf("%s: got %+v, want channel %q", written, r, name)
			}
		}
	})
}

// Each item of a batch has its own result, and a bad one harms no other.
func TestBatch(t *testing.T) {
	s := setup{}
	s.limits.Message = 100
	s.gateway = anonymously([]string{"**"}, []string{"c"})
	var items, published []string
	for i, bad := range badItems {
		items = append(items, fmt.Sprintf(`{"channel":"c","data": {"n": %d}, "type":"tick"}`, i), bad.item)
		published = append(published, fmt.Sprintf(`{"n":%d}`, i))
	}
	items = append(items, `{"channel":"c","data":"last","ephemeral":true}`)
	bodies := []struct{ name, contentType, body string }{
		{"Item", "application/json; charset=utf-8", "[" + strings.Join(items, ",\n") + "]"},
		{"Line", asLines, strings.Join(items, "\n") + "\n"},
		{"Line", asLines, strings.Join(items, "\r\n")},
	}
	overEach(t, s, func(t *testing.T, c *cluster) {
		c.publish("c", `"first"`)
		for _, b := range bodies {
			live := c.open("channel=c")
			live.want("ready")
			results := c.batch(b.contentType, b.body)
			if len(results) != len(items) {
				t.Fatalf("%d results, want %d", len(results), len(items))
			}
			for i, bad := range badItems {
				if good := results[2*i]; good.Error != nil || good.ID == "" || good.Channel != "c" {
					t.Errorf("%s: got %+v", items[2*i], good)
				}
				e := results[2*i+1].Error
				where := fmt.Sprintf("%s %d", b.name, 2*i+2)
				if e == nil || e.Type != "urn:comet:problem:"+bad.problem || e.Status < 400 ||
					!strings.HasPrefix(e.Detail, where) || !strings.Contains(e.Detail, bad.detail) {
					t.Errorf("%s: got %+v, want %s", bad.item, e, bad.problem)
				}
			}
			live.want(append(slices.Clone(published), `"last"`)...)
			live.leave()
		}
	})
}

// Lines that are no JSON at all, and empty ones, have their results too.
func TestBatchLines(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		good := `{"channel":"c","data":1}`
		results := c.batch(asLines, strings.Join([]string{good, `{"channel":`, "", good + good, good}, "\n"))
		for i, ok := range []bool{true, false, false, false, true} {
			if r := results[i]; (r.Error == nil) != ok || !ok && !strings.HasPrefix(r.Error.Detail, fmt.Sprintf("Line %d", i+1)) {
				t.Errorf("line %d: %+v", i+1, r)
			}
		}
		if h := c.history("c", ""); len(h.Messages) != 2 {
			t.Errorf("history %q", datas(h.Messages))
		}
		for _, empty := range []request{post("", "[]", "Content-Type", asJSON), post("", "", "Content-Type", asLines)} {
			if results := c.batch(empty.header[1], empty.body); results == nil || len(results) > 0 {
				t.Errorf("an empty batch: %+v", results)
			}
		}
	})
}

// A large batch arrives as it was sent, in order.
func TestBatchOrder(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		s := c.open("channel=c")
		s.want("ready")
		var lines strings.Builder
		var want []string
		for i := range 1000 {
			fmt.Fprintf(&lines, "{\"channel\":\"c\",\"data\":%d}\n", i)
			want = append(want, fmt.Sprint(i))
		}
		c.batch(asLines, lines.String())
		s.want(want...)
	})
}

// A client that reads the answer only after it has sent everything gets the
// refusal of a body that is far too large, not a broken connection.
func TestRefusedBody(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{gateway: anonymously([]string{"**"}, []string{"c"})})
	n := c.nodes[0]
	const large = 16 << 20
	part := bytes.Repeat([]byte("x"), 1<<20)
	send := func(size int) func(io.Writer) error {
		return func(w io.Writer) error {
			for range size / len(part) {
				if _, err := w.Write(part); err != nil {
					return err
				}
			}
			return nil
		}
	}
	sendChunks := func(w io.Writer) error {
		for range large / len(part) {
			if _, err := fmt.Fprintf(w, "%x\r\n%s\r\n", len(part), part); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, "0\r\n\r\n")
		return err
	}
	for name, test := range map[string]struct {
		target, header string
		send           func(io.Writer) error
		status         int
	}{
		"of 1 MiB":      {publishTo, fmt.Sprint("Content-Length: ", 1<<20), send(1 << 20), 413},
		"of 16 MiB":     {publishTo, fmt.Sprint("Content-Length: ", large), send(large), 413},
		"of 40 MiB":     {publishTo, fmt.Sprint("Content-Length: ", 40<<20), send(40 << 20), 413},
		"of chunks":     {publishTo, "Transfer-Encoding: chunked", sendChunks, 413},
		"of a batch":    {"/v1/publish", fmt.Sprint("Content-Type: application/json\r\nContent-Length: ", large), send(large), 413},
		"compressed":    {publishTo, fmt.Sprint("Content-Encoding: gzip\r\nContent-Length: ", large), send(large), 415},
		"not permitted": {"/v1/channels/d/messages", fmt.Sprint("Content-Length: ", large), send(large), 403},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPoller(t, n)
			if _, err := fmt.Fprintf(p, "POST %s HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", test.target, test.header); err != nil {
				t.Fatal(err)
			}
			if err := test.send(p); err != nil {
				t.Fatalf("while it sent: %v", err)
			}
			res, err := http.ReadResponse(p.r, nil)
			if err != nil || res.StatusCode != test.status || !res.Close {
				t.Fatalf("got %+v, %v; want %d", res, err, test.status)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				t.Error(err)
			}
			if _, err := p.r.ReadByte(); err != io.EOF {
				t.Errorf("after the answer: %v, want the end", err)
			}
		})
	}
	if h := c.history("c", ""); len(h.Messages) > 0 {
		t.Errorf("published %q", datas(h.Messages))
	}
}

// A client that asks whether to send is refused before it does.
func TestRefusedBodyExpected(t *testing.T) {
	t.Parallel()
	n := overMemory(t, setup{}).nodes[0]
	p := newPoller(t, n)
	fmt.Fprintf(p, "POST %s HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", publishTo, 16<<20)
	res, err := http.ReadResponse(p.r, nil)
	if err != nil || res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("got %+v, %v", res, err)
	}
}

// A refused body without end is read for a bounded time, and up to a bounded size.
func TestRefusedBodyWithoutEnd(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{limits: gateway.Limits{Body: 300 * time.Millisecond}})
	stalled := newPoller(t, c.nodes[0])
	fmt.Fprintf(stalled, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\nxxx", publishTo, 16<<20)
	answer, err := io.ReadAll(stalled.r) // to the end
	if !strings.HasPrefix(string(answer), "HTTP/1.1 413") || err != nil {
		t.Errorf("got %.100q, %v", answer, err)
	}

	c = overMemory(t, setup{})
	endless := newPoller(t, c.nodes[0])
	fmt.Fprintf(endless, "POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", publishTo)
	chunk := []byte(fmt.Sprintf("%x\r\n%s\r\n", 1<<20, bytes.Repeat([]byte("x"), 1<<20)))
	for sent := 0; ; sent++ {
		if _, err := endless.Write(chunk); err != nil {
			break // the node has closed
		}
		if sent > 1<<10 {
			t.Fatal("a GiB was read")
		}
	}
}

// A client that sends a body that never ends is disconnected in time, whether the
// body is read or not, and streams and polls of others are not.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{access: guarded(t), limits: gateway.Limits{Body: 300 * time.Millisecond}, heartbeat: time.Second})
	n := c.nodes[0]
	right := "Authorization: Bearer " + keyText + "\r\n"
	stream := c.openAt(n, "channel=c", bearer(keyText)...)
	stream.want("ready")
	poll := newPoller(t, n)
	poll.send("/v1/poll?channel=c&wait=20s", right)
	for name, test := range map[string]struct{ text, answer string }{
		"wanted":            {publishHead + right + "Content-Length: 100\r\n\r\nhalf", "HTTP/1.1 408"},
		"of chunks":         {publishHead + right + "Transfer-Encoding: chunked\r\n\r\n5\r\nhalf", "HTTP/1.1 408"},
		"of a batch":        {strings.ReplaceAll(publishHead, publishTo, "/v1/publish") + right + "Content-Length: 100\r\n\r\n[", "HTTP/1.1 408"},
		"not authorized":    {publishHead + "Content-Length: 100\r\n\r\nhalf", "HTTP/1.1 401"},
		"of nothing":        {"POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf", "HTTP/1.1 404"},
		"of a wrong method": {"PUT /v1/poll HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf", "HTTP/1.1 405"},
		"of a page":         {"GET /comet.js HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf", "HTTP/1.1 200"},
		"of history":        {"GET " + publishTo + " HTTP/1.1\r\nHost: h\r\n" + right + "Content-Length: 100\r\n\r\nhalf", "HTTP/1.1 200"},
		"of a poll":         {"GET /v1/poll?channel=c&wait=1ms HTTP/1.1\r\nHost: h\r\n" + right + "Content-Length: 100\r\n\r\nhalf", "HTTP/1.1 200"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPoller(t, n)
			if _, err := io.WriteString(p, test.text); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(p.r) // to the end
			if !strings.HasPrefix(string(got), test.answer) && len(got) > 0 || err != nil {
				t.Errorf("got %.200q, %v; want %s, or just the end", got, err, test.answer)
			}
		})
	}
	c.accepted(request{"POST", publishTo, "1", bearer(keyText)})
	stream.want("1")
	if a := poll.answer(); len(a.Messages) != 1 {
		t.Errorf("the poll got %q", datas(a.Messages))
	}
}

// One publish over HTTP, by many clients at a time.
func BenchmarkPublishHTTP(b *testing.B) {
	indexed := func(t testing.TB, s setup) *cluster {
		s.index = []pubsub.IndexRule{{Match: "**", Logs: 16}}
		return overRedis(t, s)
	}
	for name, start := range map[string]func(testing.TB, setup) *cluster{"memory": overMemory, "redis": overRedis, "redis and patterns": indexed} {
		b.Run(name, func(b *testing.B) {
			c := start(b, setup{})
			transport := &http.Transport{MaxIdleConnsPerHost: 64}
			b.Cleanup(transport.CloseIdleConnections)
			publisher := newClient(b, transport, c.nodes[0])
			b.SetParallelism(16)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := publisher.Publish(b.Context(), pubsub.Draft{Channel: "c", Data: []byte(`{"hello":"world"}`)}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
