package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"comet/gateway/wire"
)

const (
	publishTo = "/v1/channels/c/messages"
	asJSON    = "application/json"
	asLines   = "application/x-ndjson"
)

// request is what a test sends; header has names and values in turn.
type request struct {
	method, target, body string
	header               []string
}

func get(target string, header ...string) request {
	return request{http.MethodGet, target, "", header}
}

func post(target, body string, header ...string) request {
	return request{http.MethodPost, target, body, header}
}

// answer is a whole answer.
type answer struct {
	status int
	header http.Header
	body   string
}

// begin sends r to n and returns when the answer's header is there.
func (c *cluster) begin(ctx context.Context, n *node, r request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, n.url+r.target, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(r.header); i += 2 {
		req.Header.Add(r.header[i], r.header[i+1])
	}
	return c.http.Do(req)
}

// send sends r to the next node.
func (c *cluster) send(r request) answer {
	c.t.Helper()
	return c.sendTo(c.next(), r)
}

func (c *cluster) sendTo(n *node, r request) answer {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	res, err := c.begin(ctx, n, r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", r.method, r.target, err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// receipt is the answer to a publish.
type receipt struct {
	ID        string `json:"id"`
	Channel   string `json:"channel"`
	Duplicate bool   `json:"duplicate"`
}

// channelPath is where the messages of channel are.
func channelPath(channel string) string {
	return "/v1/channels/" + url.PathEscape(channel) + "/messages"
}

// publish publishes data, which must be JSON, and returns the message's ID.
func (c *cluster) publish(channel, data string) string {
	c.t.Helper()
	return c.accepted(post(channelPath(channel), data, "Content-Type", asJSON)).ID
}

// publishNumbers publishes first to last and returns their IDs.
func (c *cluster) publishNumbers(channel string, first, last int) (ids []string) {
	c.t.Helper()
	for i := first; i <= last; i++ {
		ids = append(ids, c.publish(channel, fmt.Sprint(i)))
	}
	return ids
}

// accepted sends a publish that must succeed.
func (c *cluster) accepted(r request) receipt {
	c.t.Helper()
	a := c.send(r)
	if a.status != http.StatusCreated || a.header.Get("Content-Type") != asJSON {
		c.t.Fatalf("publish: %d %s", a.status, a.body)
	}
	return decode[receipt](c.t, a.body)
}

// poll sends a poll to the next node.
func (c *cluster) poll(query string) *wire.Poll {
	c.t.Helper()
	return parsePoll(c.t, c.send(get("/v1/poll?"+query)))
}

func parsePoll(t testing.TB, a answer) *wire.Poll {
	t.Helper()
	if a.status != http.StatusOK || a.header.Get("Content-Type") != asJSON || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("poll: %d %v %s", a.status, a.header, a.body)
	}
	p, err := wire.ParsePoll([]byte(a.body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// history asks the next node for a page.
func (c *cluster) history(channel, query string) *wire.History {
	c.t.Helper()
	a := c.send(get(channelPath(channel) + "?" + query))
	if a.status != http.StatusOK || a.header.Get("Content-Type") != asJSON {
		c.t.Fatalf("history: %d %s", a.status, a.body)
	}
	h, err := wire.ParseHistory([]byte(a.body))
	if err != nil {
		c.t.Fatal(err)
	}
	return h
}

func decode[T any](t testing.TB, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}
