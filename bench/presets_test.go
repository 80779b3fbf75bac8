package bench

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
)

func TestSubscribeRequests(t *testing.T) {
	custom := Target{Preset: presetCustom, SubscribeURL: "http://127.0.0.1/sse/{channel}?after={cursor}"}
	for _, test := range []struct {
		target       Target
		seek         seek
		path, header string
	}{
		{Target{Preset: presetComet}, seek{channel: "c-1"}, "/v1/events?channel=c-1", ""},
		{Target{Preset: presetComet}, seek{channel: "c", cursor: []byte("5-0")}, "/v1/events?channel=c", "Last-Event-ID: 5-0\r\n"},
		{Target{Preset: presetComet}, seek{channel: "c", earliest: true}, "/v1/events?channel=c&cursor=earliest", ""},
		{Target{Preset: presetComet}, seek{channel: "c", poll: true}, "/v1/poll?wait=0&channel=c", ""},
		{Target{Preset: presetComet}, seek{channel: "c", poll: true, wait: true, cursor: []byte("0-0~a+1")}, "/v1/poll?wait=25s&channel=c&cursor=0-0~a%2B1", ""},
		{Target{Preset: presetNchan}, seek{channel: "c"}, "/stream?id=c", ""},
		{Target{Preset: presetNchan}, seek{channel: "c", cursor: []byte("1:0")}, "/stream?id=c", "Last-Event-ID: 1:0\r\n"},
		{Target{Preset: presetNchan}, seek{channel: "c", poll: true, cursor: []byte("Thu\n7")}, "/poll?id=c", "If-Modified-Since: Thu\r\nIf-None-Match: 7\r\n"},
		{Target{Preset: presetMercure}, seek{channel: "c"}, "/.well-known/mercure?topic=c", ""},
		{Target{Preset: presetMercure}, seek{channel: "c", earliest: true}, "/.well-known/mercure?topic=c", "Last-Event-ID: earliest\r\n"},
		{Target{Preset: presetMercure}, seek{channel: "c", cursor: []byte("urn:uuid:5"), earliest: true}, "/.well-known/mercure?topic=c", "Last-Event-ID: urn:uuid:5\r\n"},
		{Target{Preset: presetCentrifugo}, seek{channel: "c"}, "/connection/uni_sse?cf_connect=%7B%22subs%22%3A%7B%22c%22%3A%7B%7D%7D%7D", ""},
		{custom, seek{channel: "c", cursor: []byte("a b")}, "/sse/c?after=a%20b", "Last-Event-ID: a b\r\n"},
	} {
		d := test.target.dialect()
		if path, header := string(d.appendPath(nil, &test.seek)), string(d.appendHeader(nil, &test.seek)); path != test.path || header != test.header {
			t.Errorf("%s, %+v: %q, %q; want %q, %q", test.target.Preset, test.seek, path, header, test.path, test.header)
		}
	}
}

func TestPublishRequests(t *testing.T) {
	for _, test := range []struct {
		target Target
		want   string // method, path, body
		header string // a name with its value
	}{
		{Target{Preset: presetComet, Token: "t"}, "POST /v1/channels/c/messages data", "Idempotency-Key: k"},
		{Target{Preset: presetComet, Token: "t"}, "POST /v1/channels/c/messages data", "Authorization: Bearer t"},
		{Target{Preset: presetNchan, Headers: []string{"X-A:b"}}, "POST /publish?id=c data", "X-A: b"},
		{Target{Preset: presetMercure}, "POST /.well-known/mercure data=data&topic=c", "Content-Type: application/x-www-form-urlencoded"},
		{Target{Preset: presetCentrifugo, Token: "t"}, `POST /api/publish {"channel":"c","data":"data"}`, "X-Api-Key: t"},
		{Target{Preset: presetCentrifugo, Token: "t"}, `POST /api/publish {"channel":"c","data":"data"}`, "Authorization: "},
		{Target{Preset: presetCustom, PublishURL: "/p/{channel}", PublishMethod: "PUT", PublishBody: `{"x":"{data}"}`}, `PUT /p/c {"x":"data"}`, "Content-Type: application/json"},
		{Target{Preset: presetCustom, PublishURL: "/p", PublishMethod: "POST", PublishBody: "{data}", Headers: []string{"Content-Type: a/b"}}, "POST /p data", "Content-Type: a/b"},
	} {
		plan := Plan{Target: test.target}.complete()
		nodes := []node{{Host: "127.0.0.1:1", Prefix: "/base"}}
		c := newClient(&plan, nodes, nil)
		r, err := c.request(t.Context(), &nodes[0], "c", "k", "data")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		path := strings.TrimPrefix(r.URL.RequestURI(), "/base")
		name, value, _ := strings.Cut(test.header, ": ")
		if got := r.Method + " " + path + " " + string(body); got != test.want || r.Header.Get(name) != value || r.URL.Host != "127.0.0.1:1" {
			t.Errorf("%s: %q, %v; want %q, %q", test.target.Preset, got, r.Header, test.want, test.header)
		}
	}
}

func TestNext(t *testing.T) {
	for _, test := range []struct {
		dialect    dialect
		head, body string
		cursor     string
		gaps       int
	}{
		{comet{}, "", `{"cursor":"5-0","messages":[],"gap":[]}`, "5-0", 0},
		{comet{}, "", `{"cursor":"5-0","messages":[{"data":"\"gap\":[\"reason\":"}],"gap":[{"channel":"c","reason":"trimmed"},{"channel":"c","reason":"failover"}]}`, "5-0", 2},
		{nchan{}, "HTTP/1.1 200 OK\r\nLast-Modified: Thu\r\nETag: 7\r\n\r\n", "", "Thu\n7", 0},
	} {
		cursor, gaps, err := test.dialect.next(nil, []byte(test.head), []byte(test.body))
		if err != nil || string(cursor) != test.cursor || gaps != test.gaps {
			t.Errorf("%T: %q, %d, %v; want %q, %d", test.dialect, cursor, gaps, err, test.cursor, test.gaps)
		}
	}
	for _, d := range []dialect{comet{}, nchan{}, mercure{}} {
		if _, _, err := d.next(nil, []byte("HTTP/1.1 200 OK\r\n\r\n"), []byte("{}")); err == nil {
			t.Errorf("%T: no error", d)
		}
	}
}

func TestCentrifugoRefuses(t *testing.T) {
	if why := (centrifugo{}).refused([]byte(`{"error":{"code":102,"message":"unknown channel"}}`)); why != "error 102 unknown channel" {
		t.Errorf("refused with %q", why)
	}
	if why := (centrifugo{}).refused([]byte(`{"result":{"offset":1}}`)); why != "" {
		t.Errorf("refused with %q", why)
	}
}

// Only the JSON of a share has a token.
func TestTokensStayInside(t *testing.T) {
	plan := Plan{Target: Target{Token: "hidden", Headers: []string{"Cookie: hidden"}}}
	text, err := json.Marshal(Result{Plan: plan})
	if err != nil || strings.Contains(string(text), "hidden") {
		t.Errorf("result %s, %v", text, err)
	}
}
