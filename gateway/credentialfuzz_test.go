package gateway_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"comet/gateway"
	"comet/gateway/conn"
	"comet/pubsub/membroker"
)

// Whatever stands where a credential could: only a right one lets in, nobody is
// told any of it, and who is let in at the door is let in on the long way.
func FuzzCredentials(f *testing.F) {
	logs := membroker.New(membroker.Options{Size: 10, TTL: time.Hour, KeyWindow: time.Minute})
	o := guarded(f)()
	o.Hub, o.Node = newHub(f, logs.Node()), "n"
	o.Revocations = nil // nobody is thrown out
	g, err := gateway.New(o)
	if err != nil {
		f.Fatal(err)
	}
	right := token(f, map[string]any{"exp": nil})
	for _, text := range []string{right, keyText, "Bearer " + right, "bearer  " + keyText, "Bearer backend:" + keyText, "Basic " + right, right + "=", "", "."} {
		f.Add(text, "", "")
		f.Add("", text, "")
		f.Add("", "", text)
		f.Add("Bearer "+right, "x=1&access_token="+text, cookieName+"="+text)
		f.Add("", "access_token="+text+";access_token=%2", cookieName+"=")
		f.Add("", "Access_Token="+text, "a=b; "+cookieName+"=\""+text+"\"")
	}
	f.Fuzz(func(t *testing.T, authorization, query, cookie string) {
		text := fmt.Sprintf("GET /v1/poll?channel=c&wait=0&%s HTTP/1.1\r\nHost: h\r\n", query)
		for name, value := range map[string]string{"Authorization": authorization, "Cookie": cookie} {
			if value != "" {
				text += name + ": " + value + "\r\n"
			}
		}
		read := func() (*http.Request, error) {
			return http.ReadRequest(bufio.NewReader(strings.NewReader(text + "\r\n")))
		}
		r, err := read()
		if err != nil || r.URL.Path != "/v1/poll" || r.Method != http.MethodGet {
			return
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		all := authorization + query + cookie
		switch {
		case w.Code >= 500:
			t.Fatalf("%q: %d %s", text, w.Code, w.Body)
		case w.Code == http.StatusOK && !strings.Contains(all, keyText) && !strings.Contains(unescaped(r)+all, right):
			t.Fatalf("%q is let in", text)
		case strings.Contains(w.Body.String(), keyText) || strings.Contains(w.Body.String(), right[len(right)-20:]):
			t.Fatalf("%q is told %s", text, w.Body)
		}
		again, err := read()
		if err != nil {
			t.Fatal(err)
		}
		again.URL.RawQuery = strings.Replace(again.URL.RawQuery, "wait=0", "wait=1s", 1)
		if next, ok := g.FastPath().Poll(again); ok {
			next.Release()
			next.Ended(conn.Shutdown)
			if w.Code != http.StatusOK {
				t.Fatalf("%q comes in at the door, but gets %d %s", text, w.Code, w.Body)
			}
		}
	})
}

// unescaped is the tokens in r's query.
func unescaped(r *http.Request) string { return strings.Join(r.URL.Query()["access_token"], " ") }
