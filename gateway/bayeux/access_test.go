package bayeux_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway/auth"
	"comet/internal/servertest"
	"comet/pubsub/redistest"
)

// tokenOf makes a token of a user for some channels.
func tokenOf(t *testing.T, user, pattern string, expires time.Duration) string {
	t.Helper()
	some, err := auth.ParsePatterns([]string{pattern})
	if err != nil {
		t.Fatal(err)
	}
	text, err := auth.Sign(&auth.Claims{
		Subject: user, IssuedAt: time.Now().Add(-time.Minute), Expires: time.Now().Add(expires),
		Permissions: auth.Permissions{Subscribe: some, Publish: some},
	}, "HS256", []byte(servertest.JWTSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// A session belongs to its user, whose token is in the header, in ext of each message, or
// only in that of the handshake; permissions are those of the token.
func TestCredentials(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 2, nil, servertest.GuardedFlags(t)...)
	alice, bob := tokenOf(t, "alice", "room/**", time.Hour), tokenOf(t, "bob", "**", time.Hour)

	wantAdvice(t, wantReply(t, c.send(t, anyHandshake), false, "401:"), "none")
	wantAdvice(t, wantReply(t, c.send(t, anyHandshake, bearer("x.y.z")...), false, "401:"), "none")
	wantReply(t, c.send(t, strings.Replace(anyHandshake, "{", `{"ext":{"token":"x.y.z"},`, 1)), false, "401:")

	for name, a := range map[string]*client{
		"header":         c.handshake(t, "", bearer(alice)...),
		"ext.token":      c.handshake(t, `{"token":"`+alice+`"}`),
		"authentication": c.handshake(t, `{"authentication":{"token":"`+alice+`"}}`),
	} {
		a.subscribe("/room/" + name)
		wantReply(t, a.send(`{"channel":"/meta/subscribe","clientId":"$id","subscription":"/other"}`), false, "403:/other:")
		wantReply(t, a.send(`{"channel":"/other","clientId":"$id","data":1}`), false, "403:/other:")
		a.publish("/room/"+name, "1")
		answer := a.connect(3*time.Second, "")
		wantEvents(t, answer, "/room/"+name+" 1")
		if from := fmt.Sprint(answer[0]["ext"]); from != "map[comet:map[from:alice]]" {
			t.Errorf("%s: the message has ext %s", name, from)
		}
		for _, thief := range [][]string{bearer(bob), bearer(servertest.BackendKey)} {
			stolen := &client{c, t, a.id, thief}
			wantAdvice(t, wantReply(t, stolen.connect(0, ""), false, "402:"), "handshake")
			wantReply(t, stolen.send(`{"channel":"/room/x","clientId":"$id","data":1}`), false, "402:")
		}
		stolen := &client{c, t, a.id, nil}
		wantReply(t, stolen.send(`{"channel":"/room/x","clientId":"$id","data":1,"ext":{"token":"`+bob+`"}}`), false, "402:")
	}
	// The credential of a header is not kept.
	a := c.handshake(t, "", bearer(alice)...)
	a.header = nil
	wantReply(t, a.connect(0, ""), false, "401:")
	// A key acts for a back end.
	b := c.handshake(t, "", bearer(servertest.BackendKey)...)
	b.subscribe("/anything")
	b.publish("/anything", "1")
	wantEvents(t, b.connect(3*time.Second, ""), "/anything 1")
}

// A token that expires ends the wait of a connect, and the client has to begin again.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, nil, servertest.GuardedFlags(t, "--auth-jwt-leeway", "0s")...)
	a := c.handshake(t, `{"token":"`+tokenOf(t, "alice", "**", 1500*time.Millisecond)+`"}`)
	m := wantReply(t, await(t, a.hold("")), false, "401:")
	wantAdvice(t, m, "handshake")
	wantAdvice(t, wantReply(t, a.connect(0, ""), false, "401:"), "handshake")
}

// A session is over when its client does not connect, and then nothing is left.
func TestSessionExpires(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 2, nil, "--bayeux-timeout", "1s", "--bayeux-max-interval", "1s")
	a := c.handshake(t, "")
	a.subscribe("/expires")
	for range 3 { // which keep it
		wantReply(t, a.connect(time.Second, ""), true, "")
	}
	time.Sleep(2200 * time.Millisecond)
	wantAdvice(t, wantReply(t, a.connect(0, ""), false, "402::session unknown"), "handshake")
}

// Handshakes are charged to their address.
func TestHandshakeFlood(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, nil, "--limits-address-requests", "5")
	for range 200 {
		status, body, header := c.ask(t, "POST", "/bayeux", "application/json", anyHandshake)
		if status == http.StatusOK {
			continue
		}
		var answer []object
		if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
			t.Fatalf("answered %d %v %s", status, header, body)
		}
		m := wantReply(t, answer, false, "429:")
		wantAdvice(t, m, "handshake")
		if advice := m["advice"].(object); advice["interval"].(float64) < 1000 {
			t.Errorf("the advice is %v", advice)
		}
		return
	}
	t.Error("200 handshakes were answered")
}

// Service messages go to the application, and its answer to the client alone.
func TestService(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var q struct {
			Action, Channel string
			Data            json.RawMessage
		}
		_ = json.Unmarshal(body, &q)
		switch {
		case q.Action != "service":
			fmt.Fprint(w, `{"allow":true}`)
		case q.Channel == "/service/echo":
			fmt.Fprintf(w, `{"allow":true,"data":{"echo":%s}}`, q.Data)
		case q.Channel == "/service/quiet":
			fmt.Fprint(w, `{"allow":true}`)
		default:
			fmt.Fprint(w, `{"allow":false,"reason":"no such service"}`)
		}
	}))
	t.Cleanup(app.Close)
	c := startCluster(t, 2, nil, "--auth-hook-url", app.URL, "--auth-hook-secret-file", servertest.NewFile(t, strings.Repeat("s", 40)))
	a := c.handshake(t, "")
	answer := a.send(`{"id":"1","channel":"/service/echo","clientId":"$id","data":{"x":1}}`)
	if len(answer) != 2 || fmt.Sprint(answer[0]) != "map[channel:/service/echo data:map[echo:map[x:1]] id:1]" || answer[1]["successful"] != true || answer[1]["id"] != "1" {
		t.Errorf("the answer is %v", answer)
	}
	wantReply(t, a.send(`{"channel":"/service/quiet","clientId":"$id","data":null}`), true, "")
	wantReply(t, a.send(`{"channel":"/service/none","clientId":"$id","data":1}`), false, "403:/service/none:")
	a.subscribe("/asked")
	a.publish("/asked", "1")
	wantEvents(t, a.connect(3*time.Second, ""), "/asked 1")
}

// Pages of other origins are refused unless they are listed, with GET too, and preflights
// allow what the libraries send.
func TestOrigins(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, nil, "--http-cors-origins", "https://page.example")
	for _, one := range []struct {
		method, path, body string
		header             []string
		status             int
	}{
		{"POST", "/bayeux", anyHandshake, []string{"Origin", "https://page.example", "Sec-Fetch-Site", "cross-site"}, 200},
		{"POST", "/bayeux", anyHandshake, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		{"GET", query(anyHandshake, "f"), "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"GET", query(anyHandshake, "f"), "", []string{"Sec-Fetch-Site", "cross-site", "Referer", "https://evil.example/x"}, 403},
		{"GET", query(anyHandshake, "f"), "", []string{"Sec-Fetch-Site", "cross-site", "Referer", "https://page.example/"}, 200},
		{"GET", query(anyHandshake, "f"), "", []string{"Sec-Fetch-Site", "same-origin"}, 200},
	} {
		if status, body := c.do(t, one.method, one.path, "application/json", one.body, one.header...); status != one.status {
			t.Errorf("%s with %q was answered %d %s", one.method, one.header, status, body)
		}
	}
	status, _, header := c.ask(t, "OPTIONS", "/bayeux/handshake", "", "", "Origin", "https://page.example", "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "content-type,pragma,x-requested-with")
	if status != http.StatusNoContent && status != http.StatusOK || header.Get("Access-Control-Allow-Origin") != "https://page.example" || header.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("the preflight was answered %d %v", status, header)
	}
}

// With a prefix clients have the channels below it only.
func TestPrefix(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, nil, "--bayeux-prefix", "app/", "--bayeux-path", "/cometd")
	if status, _ := c.do(t, "POST", "/bayeux", "application/json", anyHandshake); status != http.StatusNotFound {
		t.Errorf("/bayeux is answered %d", status)
	}
	status, body := c.do(t, "POST", "/cometd", "application/json", anyHandshake)
	var answer []object
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatal(status, body, err)
	}
	id := answer[0]["clientId"].(string)
	if status, body := c.do(t, "POST", "/cometd", "application/json", `{"channel":"/chat/1","clientId":"`+id+`","data":1}`); status != 200 || !strings.Contains(body, `"successful":true`) {
		t.Errorf("publish: %d %s", status, body)
	}
	history := servertest.Body(t, servertest.Get(t, c.urls[0]+"/v1/channels/app/chat/1/messages"))
	if !strings.Contains(history, `"data":1`) {
		t.Errorf("the history is %s", history)
	}
}

// A node that drains answers all connects, and the clients go on at the other node.
func TestDrain(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 2, nil)
	var clients []*client
	var waiting []<-chan []object
	for range 50 {
		a := c.handshake(t, "")
		a.subscribe("/drain")
		clients, waiting = append(clients, a), append(waiting, a.hold(""))
	}
	wantWaiting(t, waiting[0])
	c.stop[0]()
	c.urls = c.urls[1:]
	clients[0].publish("/drain", "1")
	for i, answer := range waiting {
		messages := await(t, answer)
		if len(messages) == 1 { // of the node that has gone
			wantAdvice(t, messages[0], "retry")
			if advice := messages[0]["advice"].(object); advice["interval"].(float64) < 500 {
				t.Errorf("the advice is %v", advice)
			}
			messages = clients[i].connect(3*time.Second, "")
		}
		wantEvents(t, messages, "/drain 1")
	}
}

// Without Redis connects wait, and publishes are refused with 503. When it is back, the
// sessions go on.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t, redistest.Persist)
	c := startCluster(t, 2, redis, "--redis-timeout", "500ms")
	a := c.handshake(t, "")
	a.subscribe("/away")
	redis.Stop()
	wantReply(t, a.send(`{"channel":"/away","clientId":"$id","data":0}`), false, "503:")
	wantReply(t, a.send(`{"channel":"/meta/subscribe","clientId":"$id","subscription":"/x"}`), false, "503:")
	m := wantReply(t, c.send(t, anyHandshake), false, "503:")
	wantAdvice(t, m, "handshake")
	m = wantReply(t, a.connect(0, ""), false, "503:")
	wantAdvice(t, m, "retry")
	if advice := m["advice"].(object); advice["interval"].(float64) < 1000 {
		t.Errorf("the advice is %v", advice)
	}
	answer := a.hold("")
	redis.Restart()
	for {
		if m := a.send(`{"channel":"/away","clientId":"$id","data":1,"id":"again"}`); m[0]["successful"] == true {
			break
		}
	}
	messages := await(t, answer)
	if len(messages) == 1 {
		messages = a.connect(3*time.Second, "")
	}
	// A restart is reported as a gap: a message of the channel without data.
	gaps := 0
	messages = slices.DeleteFunc(messages, func(m object) bool {
		ext, _ := m["ext"].(object)
		comet, _ := ext["comet"].(object)
		if comet["gap"] == nil {
			return false
		}
		gap := comet["gap"].(object)
		if _, has := m["data"]; has || m["channel"] != "/away" || gap["reason"] != "failover" || gap["channel"] != "away" {
			t.Errorf("the gap is %v", m)
		}
		gaps++
		return true
	})
	if wantEvents(t, messages, "/away 1"); gaps != 1 {
		t.Errorf("%d gaps", gaps)
	}
}
