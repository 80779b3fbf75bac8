package client

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// chaos serves a log that grows by one message every 100 ms, and cuts nearly
// every response somewhere.
type chaos struct {
	random *rand.Rand
	start  time.Time
	length uint64 // of the complete log
}

func (c *chaos) end() uint64 {
	return min(uint64(time.Since(c.start)/(100*time.Millisecond)), c.length)
}

func (c *chaos) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.random.IntN(5) == 0 {
		unavailable("")(w, r)
		return
	}
	at := c.end()
	if cursor := r.FormValue("cursor"); cursor != "" {
		id, err := pubsub.ParseID(cursor)
		if err != nil {
			panic(err)
		}
		at = id.MS
	}
	if r.URL.Path == "/v1/poll" {
		c.poll(w, r, at)
		return
	}
	c.stream(w, r, at)
}

func (c *chaos) stream(w http.ResponseWriter, r *http.Request, at uint64) {
	w.Header().Set("Content-Type", "text/event-stream")
	left := c.random.IntN(2000)
	for out := ready(at); ; at++ {
		w.Write(out[:min(left, len(out))])
		w.(http.Flusher).Flush()
		if left -= len(out); left <= 0 {
			panic(http.ErrAbortHandler)
		}
		for at == c.end() {
			if sleep(r.Context(), 50*time.Millisecond) != nil {
				return
			}
		}
		out = sent(at + 1)
	}
}

func (c *chaos) poll(w http.ResponseWriter, r *http.Request, at uint64) {
	if at == c.end() && r.FormValue("wait") != "0s" {
		sleep(r.Context(), 150*time.Millisecond)
	}
	answer := wire.Poll{Cursor: string(cursorAt(at))}
	for at < c.end() {
		at++
		answer.Messages = append(answer.Messages, testMessage(at))
		answer.Cursor = string(cursorAt(at))
	}
	out := answer.AppendJSON(nil)
	w.Header().Set("Content-Length", fmt.Sprint(len(out)))
	if c.random.IntN(2) == 0 {
		w.Write(out[:c.random.IntN(len(out))])
		panic(http.ErrAbortHandler)
	}
	w.Write(out)
}

// TestSubscribeExactly checks that a client of a chaos server gets each message
// after the first Ready once, in order.
func TestSubscribeExactly(t *testing.T) {
	for _, poll := range []bool{false, true} {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("poll=%v/%d", poll, seed), func(t *testing.T) {
				server := &chaos{random: rand.New(rand.NewPCG(seed, 0)), length: 300}
				withNodes(t, func(t *testing.T, n *nodes) {
					server.start = n.start
					var last uint64
					begun := false
					for e, err := range n.client.Subscribe(t.Context(), SubscribeOptions{Channels: []string{"news"}, Poll: poll}) {
						if err != nil {
							t.Fatal(err)
						}
						if e.Kind == wire.KindReady && !begun {
							id, err := pubsub.ParseID(e.Cursor)
							if err != nil {
								t.Fatal(err)
							}
							last, begun = id.MS, true
						}
						if e.Kind == wire.KindMessage {
							if e.Message.ID.MS != last+1 {
								t.Fatalf("message %d after %d", e.Message.ID.MS, last)
							}
							last++
						}
						if last == server.length {
							break
						}
					}
					n.skipRest()
				}, repeat(server.ServeHTTP, 2000)...)
			})
		}
	}
}
