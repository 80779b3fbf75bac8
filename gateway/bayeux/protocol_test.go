package bayeux_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"comet/internal/servertest"
	"comet/pubsub/redistest"
)

// The cases of the protocol, over one and two nodes, in memory and over Redis.
func TestProtocol(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 2} {
		for _, store := range []string{"memory", "redis"} {
			t.Run(fmt.Sprint(store, nodes), func(t *testing.T) {
				t.Parallel()
				var redis *redistest.Server
				if store == "redis" {
					redis = redistest.Start(t)
				}
				c := startCluster(t, nodes, redis, "--limits-message", "1KiB", "--limits-batch", "50", "--limits-channels", "5",
					"--channels", `[{match: "pat/**", patterns: true, index: 3}]`)
				t.Run("cases", func(t *testing.T) { // they end before the nodes do
					for _, one := range protocol {
						t.Run(one.name, func(t *testing.T) {
							t.Parallel()
							one.run(t, c)
						})
					}
				})
			})
		}
	}
}

const anyHandshake = `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling","callback-polling"]}`

var protocol = []struct {
	name string
	run  func(t *testing.T, c *cluster)
}{
	{"handshake", func(t *testing.T, c *cluster) {
		m := wantReply(t, c.send(t, `[{"id":"h1","channel":"/meta/handshake","version":"1.0","minimumVersion":"1.0beta","supportedConnectionTypes":["long-polling","iframe"],"ext":{"timesync":{"tc":1}}}]`), true, "")
		wantAdvice(t, m, "retry")
		if m["id"] != "h1" || m["version"] != "1.0" || m["channel"] != "/meta/handshake" || m["ext"] != nil {
			t.Errorf("the reply is %v", m)
		}
		if id, _ := m["clientId"].(string); len(id) < 22 || strings.ContainsFunc(id, func(r rune) bool { return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", r) }) {
			t.Errorf("the client ID is %q", id)
		}
		if types := fmt.Sprint(m["supportedConnectionTypes"]); types != "[long-polling callback-polling]" {
			t.Errorf("the connection types are %s", types)
		}
	}},
	{"handshake refused", func(t *testing.T, c *cluster) {
		for _, fields := range []string{
			`"supportedConnectionTypes":["long-polling"]`,
			`"version":1,"supportedConnectionTypes":["long-polling"]`,
			`"version":"x","supportedConnectionTypes":["long-polling"]`,
			`"version":"0.9","supportedConnectionTypes":["long-polling"]`,
			`"version":"2.0","minimumVersion":"2.0","supportedConnectionTypes":["long-polling"]`,
			`"version":"1.0","minimumVersion":"","supportedConnectionTypes":["long-polling"]`,
			`"version":"1.0"`,
			`"version":"1.0","supportedConnectionTypes":[]`,
			`"version":"1.0","supportedConnectionTypes":"long-polling"`,
			`"version":"1.0","supportedConnectionTypes":["websocket"]`,
		} {
			m := wantReply(t, c.send(t, `{"id":7,"channel":"/meta/handshake",`+fields+`}`), false, "400:")
			wantAdvice(t, m, "none")
			if m["clientId"] != nil || m["id"] != 7.0 || m["supportedConnectionTypes"] == nil {
				t.Errorf("%s was answered %v", fields, m)
			}
		}
	}},
	{"nothing else with a handshake", func(t *testing.T, c *cluster) {
		m := wantReply(t, c.send(t, `[{"channel":"/x","data":1},`+anyHandshake+`,{"channel":"/meta/connect"}]`), true, "")
		if m["channel"] != "/meta/handshake" {
			t.Errorf("the reply is %v", m)
		}
	}},
	{"acks are agreed on", func(t *testing.T, c *cluster) {
		for ext, want := range map[string]string{`{"ack":true}`: "map[ack:true]", `{"ack":{"enabled":true}}`: "map[ack:true]", `{"ack":false}`: "<nil>", `{}`: "<nil>"} {
			m := c.send(t, strings.Replace(anyHandshake, "{", `{"ext":`+ext+`,`, 1))[0]
			if got := fmt.Sprint(m["ext"]); got != want {
				t.Errorf("%s was answered with ext %s", ext, got)
			}
		}
	}},
	{"empty array", func(t *testing.T, c *cluster) {
		if got := c.send(t, `[]`); len(got) != 0 {
			t.Errorf("the answer is %v", got)
		}
	}},
	{"connect at once", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		m := wantReply(t, a.connect(0, `,"id":"5"`), true, "")
		wantAdvice(t, m, "retry")
		advice, _ := m["advice"].(object)
		if m["id"] != "5" || m["clientId"] != a.id || advice["timeout"] != 5000.0 || advice["interval"] != 0.0 || advice["maxInterval"] != 20000.0 {
			t.Errorf("the reply is %v", m)
		}
	}},
	{"connect honours advice", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		began := time.Now()
		wantReply(t, a.connect(300*time.Millisecond, ""), true, "")
		if took := time.Since(began); took < 300*time.Millisecond || took > 4*time.Second {
			t.Errorf("the connect took %v", took)
		}
	}},
	{"connect refused", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		wantReply(t, a.send(`{"channel":"/meta/connect","clientId":"$id"}`), false, "400:")
		wantReply(t, a.send(`{"channel":"/meta/connect","clientId":"$id","connectionType":"websocket"}`), false, "400:websocket:")
	}},
	{"no session", func(t *testing.T, c *cluster) {
		for _, m := range []string{
			`{"channel":"/meta/connect","clientId":"XYZ","connectionType":"long-polling"}`,
			`{"channel":"/meta/subscribe","clientId":"XYZ","subscription":"/x"}`,
			`{"channel":"/meta/unsubscribe","clientId":"XYZ","subscription":"/x"}`,
			`{"channel":"/meta/disconnect","clientId":"XYZ"}`,
			`{"channel":"/x","clientId":"XYZ","data":1}`,
			`{"channel":"/service/x","clientId":"XYZ","data":1}`,
			`{"channel":"/x","clientId":"` + strings.Repeat("x", 500) + `","data":1}`,
			`{"channel":"/x","clientId":"a b:{}","data":1}`,
		} {
			wantAdvice(t, wantReply(t, c.send(t, m), false, "402::session unknown"), "handshake")
			m := strings.Replace(m, `"clientId"`, `"was"`, 1)
			wantAdvice(t, wantReply(t, c.send(t, m), false, "401:"), "handshake")
		}
	}},
	{"publish", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		m := wantReply(t, a.send(`{"id":"9","channel":"/chat/publish","clientId":"$id","data":{"text":"hi"},"ext":{"x":1}}`), true, "")
		if fmt.Sprint(m) != "map[channel:/chat/publish id:9 successful:true]" {
			t.Errorf("the reply is %v", m)
		}
	}},
	{"publish refused", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		for name, fault := range map[string]string{
			"chat": "400:", "/": "400:", "/chat/": "400:", "//chat": "400:", "/a b": "400:", "/a/*": "400:/a/*:", "/a/**": "400:", "/a/*/b": "400:",
			"/ä": "400:", "/{a}": "400:", "/a\\u0000": "400:", "/meta/x": "404:/meta/x:", "/meta/connect/x": "404:", "/service/x": "404:/service/x:",
			"/comet.x": "403:/comet.x:", "/" + strings.Repeat("x", 300): "400:",
		} {
			wantReply(t, a.send(`{"channel":"`+name+`","clientId":"$id","data":1}`), false, fault)
		}
		wantReply(t, a.send(`{"channel":"/a","clientId":"$id"}`), false, "400:/a:data is missing")
		wantReply(t, a.send(`{"channel":"/a","clientId":"$id","data":"`+strings.Repeat("x", 2<<10)+`"}`), false, "413:/a:")
		wantReply(t, a.send(`{"clientId":"$id","data":1}`), false, "400:")
		wantReply(t, a.send(`{"channel":5,"clientId":"$id","data":1}`), false, "400:")
	}},
	{"subscribe", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		m := wantReply(t, a.send(`{"id":"s","channel":"/meta/subscribe","clientId":"$id","subscription":"/sub/1"}`), true, "")
		if m["subscription"] != "/sub/1" || m["id"] != "s" || m["clientId"] != a.id {
			t.Errorf("the reply is %v", m)
		}
		m = wantReply(t, a.send(`{"channel":"/meta/subscribe","clientId":"$id","subscription":["/sub/1","/sub/2"]}`), true, "")
		if fmt.Sprint(m["subscription"]) != "[/sub/1 /sub/2]" {
			t.Errorf("the reply is %v", m)
		}
		a.publish("/sub/1", "1")
		a.publish("/sub/2", "2")
		a.publish("/sub/3", "3")
		seen := wantAll(t, a, 2)
		if seen["/sub/1 1"] != 1 || seen["/sub/2 2"] != 1 {
			t.Errorf("received %v", seen)
		}
	}},
	{"subscribe refused", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		for subscription, fault := range map[string]string{
			`"/meta/connect"`: "403:/meta/connect:", `"/meta/*"`: "403:", `"/service/x"`: "403:/service/x:", `"/service/**"`: "403:", `["/sr/1","/meta/x"]`: "403:",
			`"/a/*"`: "400:/a/*:", `"/**"`: "400:", `"chat"`: "400:", `""`: "400:", `"/a/*/b"`: "400:", `"/a/**/b"`: "400:", `"/a/***"`: "400:", `"/a//b"`: "400:", `5`: "400:", `[]`: "400:", `[5]`: "400:", `null`: "400:",
			`"/comet.x"`: "403:", `["/1","/2","/3","/4","/5","/6"]`: "403:",
		} {
			m := wantReply(t, a.send(`{"channel":"/meta/subscribe","clientId":"$id","subscription":`+subscription+`}`), false, fault)
			var want any
			_ = json.Unmarshal([]byte(subscription), &want)
			if fmt.Sprint(m["subscription"]) != fmt.Sprint(want) {
				t.Errorf("the reply is %v", m)
			}
		}
		wantReply(t, a.send(`{"channel":"/meta/subscribe","clientId":"$id"}`), false, "400:")
		a.publish("/sr/1", "1")
		wantEvents(t, a.connect(0, ""))
	}},
	{"unsubscribe", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		a.subscribe("/unsub/1")
		a.subscribe("/unsub/2")
		m := wantReply(t, a.send(`{"channel":"/meta/unsubscribe","clientId":"$id","subscription":"/unsub/1","id":"u"}`), true, "")
		if m["subscription"] != "/unsub/1" || m["id"] != "u" {
			t.Errorf("the reply is %v", m)
		}
		wantReply(t, a.send(`{"channel":"/meta/unsubscribe","clientId":"$id","subscription":"/unsub/never"}`), true, "")
		wantReply(t, a.send(`{"channel":"/meta/unsubscribe","clientId":"$id","subscription":"never"}`), false, "400:")
		wantReply(t, a.send(`{"channel":"/meta/unsubscribe","clientId":"$id"}`), false, "400:")
		a.publish("/unsub/1", "1")
		a.publish("/unsub/2", "2")
		wantEvents(t, a.connect(3*time.Second, ""), "/unsub/2 2")
	}},
	{"only what follows a subscription", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		a.publish("/after", "0")
		a.subscribe("/after")
		a.publish("/after", `{"a":[1,"é",null]}`)
		wantEvents(t, a.connect(3*time.Second, ""), `/after {"a":[1,"é",null]}`)
		wantEvents(t, a.connect(0, ""))
	}},
	{"a connect that waits gets events", func(t *testing.T, c *cluster) {
		a, b := c.handshake(t, ""), c.handshake(t, "")
		a.subscribe("/wait")
		answer := a.hold(`,"id":"w"`)
		b.publish("/wait", `"now"`)
		if m := wantEvents(t, await(t, answer), `/wait "now"`); m["id"] != "w" {
			t.Errorf("the reply is %v", m)
		}
	}},
	{"a connect that waits learns of a subscription", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		answer := a.hold("")
		a.subscribe("/learn")
		a.publish("/learn", `1`)
		wantEvents(t, await(t, answer), `/learn 1`)
	}},
	{"order and many events", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		a.subscribe("/many")
		var want []string
		for i := range 30 {
			a.publish("/many", fmt.Sprint(i))
			want = append(want, fmt.Sprint("/many ", i))
		}
		var got []object
		for len(got) < len(want) {
			for _, m := range a.connect(3*time.Second, "") {
				if m["channel"] == "/many" {
					got = append(got, m)
				}
			}
		}
		wantEvents(t, append(got, object{"channel": "/meta/connect", "successful": true}), want...)
	}},
	{"a second connect ends the first", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		a.subscribe("/second")
		first := a.hold(`,"id":"1"`)
		wantWaiting(t, first)
		second := a.hold(`,"id":"2"`)
		if m := wantEvents(t, await(t, first)); m["id"] != "1" {
			t.Errorf("the first connect was answered %v", m)
		}
		a.publish("/second", "1")
		wantEvents(t, await(t, second), "/second 1")
	}},
	{"the next connect acknowledges", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		a.subscribe("/next")
		a.publish("/next", "1")
		wantEvents(t, a.connect(3*time.Second, `,"id":"a"`), "/next 1")
		a.publish("/next", "2")
		wantEvents(t, a.connect(3*time.Second, `,"id":"b"`), "/next 2")
		wantEvents(t, a.connect(0, `,"id":"c"`))
	}},
	{"acknowledged batches", func(t *testing.T, c *cluster) {
		a := c.handshake(t, `{"ack":true}`)
		a.subscribe("/ack")
		wantAck(t, wantEvents(t, a.connect(0, `,"ext":{"ack":0}`)), 0)
		a.publish("/ack", "1")
		wantAck(t, wantEvents(t, a.connect(3*time.Second, `,"ext":{"ack":0}`), "/ack 1"), 1)
		wantAck(t, wantEvents(t, a.connect(3*time.Second, `,"ext":{"ack":0}`), "/ack 1"), 2)
		a.publish("/ack", "2")
		wantAck(t, wantEvents(t, a.connect(3*time.Second, `,"ext":{"ack":1}`), "/ack 1", "/ack 2"), 3)
		wantAck(t, wantEvents(t, a.connect(0, `,"ext":{"ack":3}`)), 3)
		a.publish("/ack", "3")
		wantAck(t, wantEvents(t, a.connect(3*time.Second, `,"ext":{"ack":3}`), "/ack 3"), 4)
	}},
	{"disconnect", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		answer := a.hold("")
		wantWaiting(t, answer)
		if m := wantReply(t, a.send(`{"id":"d","channel":"/meta/disconnect","clientId":"$id"}`), true, ""); m["id"] != "d" {
			t.Errorf("the reply is %v", m)
		}
		wantAdvice(t, wantEvents(t, await(t, answer)), "none")
		wantReply(t, a.connect(0, ""), false, "402:")
		wantReply(t, a.send(`{"channel":"/x","clientId":"$id","data":1}`), false, "402:")
		wantReply(t, a.send(`{"channel":"/meta/disconnect","clientId":"$id"}`), false, "402:")
	}},
	{"many messages in a request", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		answer := a.send(`[{"id":"1","channel":"/meta/subscribe","clientId":"$id","subscription":"/batch"},
			{"id":"2","channel":"/batch","clientId":"$id","data":1},{"id":"3","channel":"/nope/*","clientId":"$id","data":1},
			{"id":"4","channel":"/batch","clientId":"$id","data":2},{"id":"5","channel":"/meta/unknown","clientId":"$id"}]`)
		var got []string
		for _, m := range answer {
			got = append(got, fmt.Sprint(m["id"], m["channel"], m["successful"]))
		}
		if want := "1/meta/subscribetrue 2/batchtrue 3/nope/*false 4/batchtrue 5/meta/unknownfalse"; strings.Join(got, " ") != want {
			t.Errorf("the answers are %q, want %s", got, want)
		}
		wantEvents(t, a.connect(3*time.Second, ""), "/batch 1", "/batch 2")
	}},
	{"a connect with other messages does not wait", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		a.subscribe("/together")
		began := time.Now()
		answer := a.send(`[{"id":"1","channel":"/together","clientId":"$id","data":1},{"id":"2","channel":"/meta/connect","clientId":"$id","connectionType":"long-polling"}]`)
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
		if len(answer) < 2 || answer[0]["id"] != "1" || answer[len(answer)-1]["id"] != "2" {
			t.Errorf("the answer is %v", answer)
		}
		for got := len(answer) - 2; got == 0; {
			for _, m := range a.connect(3*time.Second, "") {
				if m["channel"] == "/together" {
					got++
				}
			}
		}
	}},
	{"a repeated message is published once", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		a.subscribe("/once")
		for range 2 {
			wantReply(t, a.send(`{"id":"7","channel":"/once","clientId":"$id","data":1}`), true, "")
		}
		wantReply(t, a.send(`{"id":"7","channel":"/once","clientId":"$id","data":2}`), true, "")
		wantReply(t, a.send(`{"id":"8","channel":"/once","clientId":"$id","data":1}`), true, "")
		wantEvents(t, a.connect(3*time.Second, ""), "/once 1", "/once 2", "/once 1")
	}},
	{"patterns", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		m := wantReply(t, a.send(`{"channel":"/meta/subscribe","clientId":"$id","subscription":["/pat/x/*","/pat/**","/pat/x/1"]}`), true, "")
		if fmt.Sprint(m["subscription"]) != "[/pat/x/* /pat/** /pat/x/1]" {
			t.Errorf("the reply is %v", m)
		}
		for i, channel := range []string{"/pat", "/pat/1", "/pat/x/1", "/pat/x/2", "/patx/1", "/pat/x/2/3"} {
			a.publish(channel, fmt.Sprint(i))
		}
		seen := wantAll(t, a, 4)
		if fmt.Sprint(seen) != "map[/pat/1 1:1 /pat/x/1 2:1 /pat/x/2 3:1 /pat/x/2/3 5:1]" {
			t.Errorf("received %v", seen)
		}
		wantEvents(t, a.connect(0, ""))
		answer := a.hold("")
		wantWaiting(t, answer)
		a.publish("/pat/x/9", "9")
		wantEvents(t, await(t, answer), "/pat/x/9 9")
		wantReply(t, a.send(`{"channel":"/meta/unsubscribe","clientId":"$id","subscription":["/pat/**","/pat/x/1"]}`), true, "")
		a.publish("/pat/1", "10")
		a.publish("/pat/x/3", "11")
		wantEvents(t, a.connect(3*time.Second, ""), "/pat/x/3 11")
		wantReply(t, a.send(`{"channel":"/meta/subscribe","clientId":"$id","subscription":"/norule/**"}`), false, "400:/norule/**:")
	}},
	{"forms", func(t *testing.T, c *cluster) {
		form := url.Values{"message": {anyHandshake}}.Encode()
		for _, contentType := range []string{"application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8", "text/plain;charset=UTF-8", ""} {
			status, body := c.post(t, contentType, form)
			if status != http.StatusOK || !strings.Contains(body, `"successful":true`) {
				t.Errorf("%q was answered %d %s", contentType, status, body)
			}
		}
		for _, contentType := range []string{"application/json;charset=UTF-8", "text/json", "text/plain", ""} {
			if status, body := c.post(t, contentType, anyHandshake); status != http.StatusOK {
				t.Errorf("%q was answered %d %s", contentType, status, body)
			}
		}
	}},
	{"bad requests", func(t *testing.T, c *cluster) {
		for _, bad := range []struct {
			method, path, contentType, body string
			status                          int
		}{
			{"POST", "/bayeux", "application/json", `{`, 400}, {"POST", "/bayeux", "application/json", ``, 400}, {"POST", "/bayeux", "application/json", `"x"`, 400},
			{"POST", "/bayeux", "application/json", `[1]`, 400}, {"POST", "/bayeux", "application/json", `[null]`, 400}, {"POST", "/bayeux", "application/json", `null`, 400},
			{"POST", "/bayeux", "application/json", `[{}] x`, 400}, {"POST", "/bayeux", "application/json", "[{\"channel\":\"/\xff\"}]", 400},
			{"POST", "/bayeux", "application/x-www-form-urlencoded", `x=1`, 400}, {"POST", "/bayeux", "application/x-www-form-urlencoded", `message=%zz`, 400},
			{"POST", "/bayeux", "application/xml", `<x/>`, 415}, {"POST", "/bayeux", "application/json; charset=utf-16", `[]`, 415},
			{"POST", "/bayeux", "application/json", `[` + strings.Repeat(`{},`, 60) + `{}]`, 413}, {"POST", "/bayeux", "application/json", strings.Repeat(" ", 2<<20), 413},
			{"PUT", "/bayeux", "application/json", `[]`, 405}, {"DELETE", "/bayeux/connect", "", ``, 405}, {"HEAD", "/bayeux", "", "", 405}, {"OPTIONS", "/bayeux", "", "", 405},
			{"GET", "/bayeux", "", "", 400}, {"GET", query("{", ""), "", "", 400}, {"GET", query(anyHandshake, "alert(1)//"), "", "", 400},
			{"GET", query(anyHandshake, "a.1"), "", "", 400}, {"GET", query(anyHandshake, strings.Repeat("a", 200)), "", "", 400}, {"GET", "/bayeux?message=[]&jsonp=", "", "", 400},
			{"POST", "/bayeuxx", "application/json", `[]`, 404},
		} {
			status, body, header := c.ask(t, bad.method, bad.path, bad.contentType, bad.body)
			if status != bad.status || bad.method != "HEAD" && !strings.HasPrefix(header.Get("Content-Type"), "application/problem+json") {
				t.Errorf("%s %s %.40s was answered %d %s, want %d", bad.method, bad.path, bad.body, status, body, bad.status)
			}
			if status == 405 && header.Get("Allow") != "GET, OPTIONS, POST" {
				t.Errorf("%s is answered with Allow: %s", bad.method, header.Get("Allow"))
			}
		}
	}},
	{"paths below", func(t *testing.T, c *cluster) {
		for _, path := range []string{"/bayeux/", "/bayeux/handshake", "/bayeux/a/b"} {
			if status, body := c.do(t, "POST", path, "application/json", anyHandshake); status != 200 {
				t.Errorf("%s was answered %d %s", path, status, body)
			}
		}
	}},
	{"callback-polling", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		a.subscribe("/jsonp")
		a.publish("/jsonp", `"</script>\u2028"`)
		for _, callback := range []string{"", "_cometd_jsonp_1", "a.$b"} {
			status, body, header := c.ask(t, "GET", query(`[{"channel":"/meta/connect","clientId":"`+a.id+`","connectionType":"callback-polling","advice":{"timeout":0}}]`, callback), "", "")
			name := callback
			if name == "" {
				name = "jsonpcallback"
			}
			array, ok := strings.CutPrefix(body, "/**/"+name+"(")
			array, end := strings.CutSuffix(array, ");")
			if status != 200 || !ok || !end || !json.Valid([]byte(array)) || header.Get("Content-Type") != "text/javascript; charset=utf-8" || header.Get("X-Content-Type-Options") != "nosniff" || strings.ContainsRune(body, '\u2028') {
				t.Errorf("%q was answered %d %v %s", callback, status, header, body)
			}
		}
	}},
	{"content type", func(t *testing.T, c *cluster) {
		_, _, header := c.ask(t, "POST", "/bayeux", "application/json", anyHandshake)
		if header.Get("Content-Type") != "application/json" || header.Get("Cache-Control") != "no-store" || header.Get("Set-Cookie") != "" {
			t.Errorf("the header is %v", header)
		}
	}},
	{"exchange with other clients", func(t *testing.T, c *cluster) {
		a := c.handshake(t, "")
		a.subscribe("/mixed/1")
		events, _ := servertest.OpenStream(t, c.next()+"/v1/events?channel=mixed/1")
		a.publish("/mixed/1", `{"from":"bayeux"}`)
		if e := servertest.NextEvent(t, events); e.Message == nil || string(e.Message.Data) != `{"from":"bayeux"}` {
			t.Errorf("the stream has %v", e)
		}
		if res := servertest.Ask(t, "POST", c.next()+"/v1/channels/mixed/1/messages?type=note", `{"from":"http"}`); res.StatusCode != 201 {
			t.Errorf("publish: %s", res.Status)
		}
		answer := a.connect(3*time.Second, "")
		if len(answer) == 2 {
			answer = append(answer[:1], a.connect(3*time.Second, "")...)
		}
		wantEvents(t, answer, `/mixed/1 {"from":"bayeux"}`, `/mixed/1 {"from":"http"}`)
		if ext := fmt.Sprint(answer[1]["ext"]); ext != "map[comet:map[type:note]]" {
			t.Errorf("the message has ext %s", ext)
		}
	}},
}

// wantAll reads n events of a client, and counts each.
func wantAll(t *testing.T, a *client, n int) map[string]int {
	t.Helper()
	seen := make(map[string]int)
	for late := time.Now().Add(20 * time.Second); n > 0 && time.Now().Before(late); {
		for _, m := range a.connect(time.Second, "") {
			if m["channel"] != "/meta/connect" {
				seen[fmt.Sprint(m["channel"], " ", m["data"])]++
				n--
			}
		}
	}
	return seen
}

// wantWaiting wants a connect to be waiting by now, and for a while.
func wantWaiting(t *testing.T, answer <-chan []object) {
	t.Helper()
	select {
	case messages := <-answer:
		t.Fatalf("the connect was answered %v", messages)
	case <-time.After(200 * time.Millisecond):
	}
}

func wantAck(t *testing.T, reply object, batch int) {
	t.Helper()
	ext, _ := reply["ext"].(object)
	if ext["ack"] != float64(batch) {
		t.Errorf("the reply is %v, want ack %d", reply, batch)
	}
}

// Messages of channels with names of the protocol are not events of a pattern: a client would
// take them for replies.
func TestPatternHidesProtocolChannels(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, nil, "--channels", `[{match: "**", patterns: true, index: 2}]`)
	a := c.handshake(t, "")
	a.subscribe("/**")
	for _, channel := range []string{"meta/connect", "service/x", "real"} {
		if res := servertest.Ask(t, "POST", c.next()+"/v1/channels/"+channel+"/messages", `{"successful":false}`); res.StatusCode != 201 {
			t.Errorf("publish: %s", res.Status)
		}
	}
	if seen := wantAll(t, a, 1); len(seen) != 1 {
		t.Errorf("received %v", seen)
	}
	wantEvents(t, a.connect(0, ""))
}
