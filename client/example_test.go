package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"comet/client"
	"comet/gateway"
	"comet/gateway/wire"
	"comet/pubsub"
	"comet/pubsub/membroker"
)

// startNode starts a node of Comet, without Redis, for an example.
func startNode() (url string, stop func()) {
	broker := membroker.New(membroker.Options{Size: 1000, TTL: time.Hour, KeyWindow: 5 * time.Minute})
	hub := pubsub.NewHub(broker.Node(), pubsub.Options{})
	handler, err := gateway.New(gateway.Options{Hub: hub, Node: "a"})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(handler)
	return server.URL, func() {
		server.Close()
		hub.Close()
	}
}

// startStub starts a server with one response, for requests with the token.
func startStub(token, answer string) (url string, stop func()) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, answer)
	}))
	return server.URL, server.Close
}

func Example() {
	url, stop := startNode()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(client.Options{URLs: []string{url}})
	if err != nil {
		log.Fatal(err)
	}
	for e, err := range c.Subscribe(ctx, client.SubscribeOptions{Channels: []string{"news"}}) {
		if err != nil {
			log.Fatal(err)
		}
		switch e.Kind {
		case wire.KindReady: // no message after this is missed
			if _, err := c.Publish(ctx, pubsub.Draft{Channel: "news", Data: []byte(`"Hello"`)}); err != nil {
				log.Fatal(err)
			}
		case wire.KindMessage:
			fmt.Printf("%s: %s\n", e.Message.Channel, e.Message.Data)
			return
		}
	}
	// Output: news: "Hello"
}

// With several nodes a client goes on with the next one when one fails.
func ExampleNew() {
	url, stop := startNode()
	defer stop()
	c, err := client.New(client.Options{URLs: []string{"http://127.0.0.1:1", url}}) // no node listens on port 1
	if err != nil {
		log.Fatal(err)
	}
	r, err := c.Publish(context.Background(), pubsub.Draft{Channel: "news", Data: []byte(`1`)})
	fmt.Println(r.Channel, err)
	// Output: news <nil>
}

// The client asks for a token before the first request, and again when the server
// refuses the last one.
func ExampleOptions_token() {
	url, stop := startStub("fresh", `{"channel": "news", "messages": [], "more": false}`)
	defer stop()
	tokens := []string{"expired", "fresh"}
	c, err := client.New(client.Options{
		URLs: []string{url},
		Token: func(context.Context) (string, error) {
			token := tokens[0]
			tokens = tokens[1:]
			fmt.Println("the application makes a token:", token)
			return token, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.History(context.Background(), "news", client.HistoryOptions{})
	fmt.Println(err)
	// Output:
	// the application makes a token: expired
	// the application makes a token: fresh
	// <nil>
}

// A draft with a Key can be published again when the outcome is not known: it is
// stored once.
func ExampleClient_Publish() {
	url, stop := startNode()
	defer stop()
	c, err := client.New(client.Options{URLs: []string{url}})
	if err != nil {
		log.Fatal(err)
	}
	draft := pubsub.Draft{Channel: "orders", Type: "paid", Data: []byte(`{"order": 17}`), Key: "order-17-paid"}
	first, err := c.Publish(context.Background(), draft)
	if err != nil {
		log.Fatal(err)
	}
	second, err := c.Publish(context.Background(), draft)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(first.Duplicate, second.Duplicate, first.ID == second.ID)
	// Output: false true true
}

// A batch has a result for each draft, in order.
func ExampleClient_PublishBatch() {
	url, stop := startNode()
	defer stop()
	c, err := client.New(client.Options{URLs: []string{url}})
	if err != nil {
		log.Fatal(err)
	}
	results, err := c.PublishBatch(context.Background(), []pubsub.Draft{
		{Channel: "scores/1", Data: []byte(`[1, 0]`)},
		{Channel: "scores/2", Data: []byte(`[2, 2]`)},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range results {
		fmt.Println(r.Channel, r.Err)
	}
	// Output:
	// scores/1 <nil>
	// scores/2 <nil>
}

// A subscription resumes after the cursor of an event, also much later and at
// another node.
func ExampleClient_Subscribe() {
	url, stop := startNode()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(client.Options{URLs: []string{url}})
	if err != nil {
		log.Fatal(err)
	}
	for _, data := range []string{"1", "2", "3"} {
		if _, err := c.Publish(ctx, pubsub.Draft{Channel: "news", Data: []byte(data)}); err != nil {
			log.Fatal(err)
		}
	}
	// next returns the first message after cursor, and its own cursor.
	next := func(cursor string) (data, after string) {
		for e, err := range c.Subscribe(ctx, client.SubscribeOptions{Channels: []string{"news"}, Cursor: cursor}) {
			switch {
			case err != nil:
				log.Fatal(err)
			case e.Kind == wire.KindGap:
				log.Fatal("messages are missing: ", e.Gap)
			case e.Kind == wire.KindMessage:
				return string(e.Message.Data), e.Cursor
			}
		}
		return "", ""
	}
	cursor, data := client.Earliest, ""
	for range 3 {
		data, cursor = next(cursor)
		fmt.Println(data)
	}
	// Output:
	// 1
	// 2
	// 3
}

func ExampleClient_History() {
	url, stop := startNode()
	defer stop()
	c, err := client.New(client.Options{URLs: []string{url}})
	if err != nil {
		log.Fatal(err)
	}
	for _, data := range []string{"1", "2", "3"} {
		if _, err := c.Publish(context.Background(), pubsub.Draft{Channel: "news", Data: []byte(data)}); err != nil {
			log.Fatal(err)
		}
	}
	page, err := c.History(context.Background(), "news", client.HistoryOptions{Order: client.NewestFirst, Limit: 2})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range page.Messages {
		fmt.Println(string(m.Data))
	}
	fmt.Println("more:", page.More)
	// Output:
	// 3
	// 2
	// more: true
}

func ExampleClient_Presence() {
	url, stop := startStub("secret", `{"channel": "chat/1", "count": 2, "users": [{"user": "ann", "data": null}, {"user": "bob", "data": null}]}`)
	defer stop()
	c, err := client.New(client.Options{
		URLs:  []string{url},
		Token: func(context.Context) (string, error) { return "secret", nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	page, err := c.Presence(context.Background(), "chat/1", client.PresenceOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page.Count)
	for _, m := range page.Users {
		fmt.Println(m.User)
	}
	// Output:
	// 2
	// ann
	// bob
}

func ExampleProblemError() {
	url, stop := startNode()
	defer stop()
	c, err := client.New(client.Options{URLs: []string{url}})
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Presence(context.Background(), "news", client.PresenceOptions{})
	if problem, ok := errors.AsType[*client.ProblemError](err); ok {
		fmt.Println(problem.Status, problem.Type)
	}
	// Output: 404 urn:comet:problem:no-presence
}

// Publish and Subscribe ask for a token again after a failure. History and
// Presence return it.
func ExampleTokenError() {
	c, err := client.New(client.Options{
		URLs:  []string{"http://127.0.0.1:8080"},
		Token: func(context.Context) (string, error) { return "", errors.New("logged out") },
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.History(context.Background(), "news", client.HistoryOptions{})
	if token, ok := errors.AsType[*client.TokenError](err); ok {
		fmt.Println("log in again:", token.Err)
	}
	// Output: log in again: logged out
}
