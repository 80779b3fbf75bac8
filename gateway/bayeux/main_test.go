package bayeux_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/goleak"

	"comet/config"
	"comet/internal/server"
	"comet/internal/testenv"
	"comet/pubsub"
	"comet/pubsub/membroker"
	"comet/pubsub/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testenv.IgnoreRedisProbe()) }

// cluster is one or two nodes; requests go to them in turn.
type cluster struct {
	urls []string
	stop []func() // has a node drain, and waits for its end; may be called more than once
	turn atomic.Int64
	http *http.Client
}

// startCluster runs nodes with flags of `comet serve`, over a Redis or in memory.
func startCluster(t *testing.T, nodes int, redis *redistest.Server, flags ...string) *cluster {
	t.Helper()
	c := &cluster{http: &http.Client{Transport: &http.Transport{}}}
	flags = append([]string{"--bayeux-enabled", "--bayeux-timeout", "5s", "--bayeux-max-interval", "20s"}, flags...)
	if redis != nil {
		flags = append(flags, "--redis-addresses", redis.Addr())
	}
	var memory *membroker.Cluster
	for i := range nodes {
		settings := load(t, append(flags, "--node", fmt.Sprint("node-", i+1))...)
		var broker pubsub.Broker
		if redis == nil {
			if memory == nil {
				var err error
				if memory, err = server.NewMemory(&settings.Settings); err != nil {
					t.Fatal(err)
				}
			}
			broker = memory.Node()
		}
		url, stop := startNode(t, settings, broker)
		c.urls, c.stop = append(c.urls, url), append(c.stop, stop)
	}
	t.Cleanup(c.http.CloseIdleConnections) // before the nodes leave
	return c
}

func load(t *testing.T, args ...string) *config.Loaded {
	t.Helper()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.RegisterFlags(flags)
	err := flags.Parse(append([]string{"--http-listen", "127.0.0.1:0", "--admin-listen", "", "--drain-delay", "0s", "--drain-spread", "0s"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	settings, err := config.Load(config.Source{Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

func startNode(t *testing.T, settings *config.Loaded, broker pubsub.Broker) (url string, stop func()) {
	t.Helper()
	// At debug go-redis logs through the newest node's logger, also after its test.
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	n, err := server.New(t.Context(), settings, server.Options{Version: "devel", Logger: logger, Level: new(slog.LevelVar), Broker: broker})
	if err != nil {
		t.Fatal(err)
	}
	ctx, terminate := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		terminate(server.ErrTerminated)
		if err := <-ended; err != nil {
			t.Errorf("the node ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return n.URL(), stop
}

// next is the node whose turn it is.
func (c *cluster) next() string { return c.urls[int(c.turn.Add(1))%len(c.urls)] }

// object is a message of an answer.
type object = map[string]any

// post sends a body to the next node and returns the status and the body.
func (c *cluster) post(t *testing.T, contentType, body string, header ...string) (int, string) {
	t.Helper()
	return c.do(t, http.MethodPost, "/bayeux", contentType, body, header...)
}

func (c *cluster) do(t *testing.T, method, path, contentType, body string, header ...string) (int, string) {
	t.Helper()
	status, text, _ := c.ask(t, method, path, contentType, body, header...)
	return status, text
}

func (c *cluster) ask(t *testing.T, method, path, contentType, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, c.next()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := c.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}

// send sends messages and returns those of the answer.
func (c *cluster) send(t *testing.T, messages string, header ...string) []object {
	t.Helper()
	status, body := c.post(t, "application/json", messages, header...)
	var answer []object
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("%s was answered %d %s", messages, status, body)
	}
	return answer
}

// client is a client with a session.
type client struct {
	*cluster
	t      *testing.T
	id     string
	header []string
}

// handshake begins a session; ext may be empty.
func (c *cluster) handshake(t *testing.T, ext string, header ...string) *client {
	t.Helper()
	if ext != "" {
		ext = `,"ext":` + ext
	}
	answer := c.send(t, `[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]`+ext+`}]`, header...)
	id, _ := answer[0]["clientId"].(string)
	if len(answer) != 1 || answer[0]["successful"] != true || id == "" {
		t.Fatalf("the handshake was answered %v", answer)
	}
	return &client{c, t, id, header}
}

// send sends messages, in which $id is the client's ID.
func (c *client) send(messages string) []object {
	c.t.Helper()
	return c.cluster.send(c.t, strings.ReplaceAll(messages, "$id", c.id), c.header...)
}

// connect sends a connect that waits for some time; more are its other members.
func (c *client) connect(wait time.Duration, more string) []object {
	c.t.Helper()
	return c.send(fmt.Sprintf(`[{"channel":"/meta/connect","clientId":"$id","connectionType":"long-polling","advice":{"timeout":%d}%s}]`, wait.Milliseconds(), more))
}

// hold sends a connect that waits, and returns its answer when it has come.
func (c *client) hold(more string) <-chan []object {
	answer := make(chan []object, 1)
	body := strings.ReplaceAll(`[{"channel":"/meta/connect","clientId":"$id","connectionType":"long-polling"`+more+`}]`, "$id", c.id)
	url := c.next() + "/bayeux"
	go func() {
		r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			answer <- nil
			return
		}
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i+1 < len(c.header); i += 2 {
			r.Header.Set(c.header[i], c.header[i+1])
		}
		var messages []object
		res, err := c.http.Do(r)
		if err == nil {
			defer res.Body.Close()
			_ = json.NewDecoder(res.Body).Decode(&messages)
		}
		answer <- messages
	}()
	return answer
}

// subscribe subscribes to a channel.
func (c *client) subscribe(channel string) {
	c.t.Helper()
	wantReply(c.t, c.send(`{"channel":"/meta/subscribe","clientId":"$id","subscription":"`+channel+`"}`), true, "")
}

// publish publishes data, which is JSON.
func (c *client) publish(channel, data string) {
	c.t.Helper()
	wantReply(c.t, c.send(`{"channel":"`+channel+`","clientId":"$id","data":`+data+`}`), true, "")
}

// await waits for the answer to a connect.
func await(t *testing.T, answer <-chan []object) []object {
	t.Helper()
	select {
	case messages := <-answer:
		return messages
	case <-time.After(testenv.Patience):
		t.Fatal("the connect was not answered")
		return nil
	}
}

// wantReply wants one message, successful or with an error that begins with a text.
func wantReply(t *testing.T, answer []object, successful bool, fault string) object {
	t.Helper()
	if len(answer) != 1 {
		t.Fatalf("the answer is %v, want one message", answer)
	}
	text, _ := answer[0]["error"].(string)
	if answer[0]["successful"] != successful || !strings.HasPrefix(text, fault) || fault == "" && text != "" {
		t.Errorf("the answer is %v, want successful %v and the error %q", answer, successful, fault)
	}
	return answer[0]
}

// wantAdvice wants the advice about reconnecting; empty: any.
func wantAdvice(t *testing.T, m object, reconnect string) {
	t.Helper()
	advice, _ := m["advice"].(object)
	if advice["reconnect"] != reconnect {
		t.Errorf("the advice is %v, want reconnect %q", advice, reconnect)
	}
}

// wantEvents wants the answer of a connect to be events with just these data, in order.
func wantEvents(t *testing.T, answer []object, data ...string) object {
	t.Helper()
	var got []string
	var reply object
	for _, m := range answer {
		if m["channel"] == "/meta/connect" {
			reply = m
			continue
		}
		text, err := json.Marshal(m["data"])
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(m["channel"], " ", string(text)))
	}
	if reply == nil || reply["successful"] != true {
		t.Errorf("the reply of the connect is %v", reply)
	}
	if strings.Join(got, "\n") != strings.Join(data, "\n") {
		t.Errorf("the events are %q, want %q", got, data)
	}
	return reply
}

func query(message, callback string) string {
	v := url.Values{"message": {message}}
	if callback != "" {
		v.Set("jsonp", callback)
	}
	return "/bayeux?" + v.Encode()
}
