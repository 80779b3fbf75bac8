package pubsub_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"comet/pubsub"
	"comet/pubsub/membroker"
)

// newExampleBroker is a broker within this process. A server with several nodes
// uses redisbroker.
func newExampleBroker() *membroker.Broker {
	return membroker.New(membroker.Options{Size: 100, TTL: time.Hour, KeyWindow: time.Minute}).Node()
}

// Publish takes several drafts; each gets a receipt of its own. A draft with the
// key of an earlier one is not published again.
func ExampleHub_Publish() {
	broker := newExampleBroker()
	defer broker.Close()
	hub := pubsub.NewHub(broker, pubsub.Options{})
	defer hub.Close()

	draft := pubsub.Draft{Channel: "orders", Data: []byte(`{"order":7}`), Key: "order-7"}
	for range 2 {
		receipt := hub.Publish(context.Background(), []pubsub.Draft{draft})[0]
		fmt.Println("duplicate:", receipt.Duplicate, "error:", receipt.Err)
	}
	// Output:
	// duplicate: false error: <nil>
	// duplicate: true error: <nil>
}

func ExampleHub_Subscribe() {
	broker := newExampleBroker()
	defer broker.Close()
	hub := pubsub.NewHub(broker, pubsub.Options{})
	defer hub.Close()
	ctx := context.Background()

	s, err := hub.Subscribe(ctx, []pubsub.Start{{Channel: "news"}, {Channel: "sport"}})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	hub.Publish(ctx, []pubsub.Draft{{Channel: "news", Data: []byte(`"hello"`)}})

	deliveries, err := s.Next(ctx, 10)
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range deliveries {
		fmt.Printf("channel %d: %s\n", d.Channel, d.Message.Data)
	}
	// Output: channel 0: "hello"
}

// A cursor says what a subscriber has. A later subscription, at any node, goes on
// after it: with the missed messages, or with a gap that says why there may be
// some that cannot be had.
func ExampleHub_Subscribe_resume() {
	broker := newExampleBroker()
	defer broker.Close()
	hub := pubsub.NewHub(broker, pubsub.Options{})
	defer hub.Close()
	ctx := context.Background()

	receipts := hub.Publish(ctx, []pubsub.Draft{
		{Channel: "news", Data: []byte(`"one"`)},
		{Channel: "news", Data: []byte(`"two"`)},
		{Channel: "news", Data: []byte(`"three"`)},
	})
	cursor := pubsub.CursorAfter(receipts[0].ID)

	s, err := hub.Subscribe(ctx, []pubsub.Start{{Channel: "news", From: pubsub.From{Cursor: &cursor}}})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		deliveries, err := s.Next(ctx, 1)
		if err != nil {
			log.Fatal(err)
		}
		d := deliveries[0]
		if d.Gap != nil {
			fmt.Println("messages may be missing:", d.Gap.Reason)
			continue
		}
		fmt.Printf("%s\n", d.Message.Data)
	}
	// Output:
	// "two"
	// "three"
}

// Read returns a part of a channel's log without a subscription.
func ExampleHub_Read() {
	broker := newExampleBroker()
	defer broker.Close()
	hub := pubsub.NewHub(broker, pubsub.Options{})
	defer hub.Close()
	ctx := context.Background()
	for _, text := range []string{`"one"`, `"two"`, `"three"`} {
		hub.Publish(ctx, []pubsub.Draft{{Channel: "news", Data: []byte(text)}})
	}

	page, err := hub.Read(ctx, pubsub.Query{Channel: "news", Backward: true, Limit: 2})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range page.Messages {
		fmt.Printf("%s\n", m.Data)
	}
	fmt.Println("more:", page.More)
	// Output:
	// "three"
	// "two"
	// more: true
}

// Join never waits: the presence updates the broker in the background, and the
// subscribers of the channel get a message of type JoinType.
func ExamplePresence() {
	broker := newExampleBroker()
	defer broker.Close()
	presence := pubsub.NewPresence(broker, pubsub.PresenceOptions{
		Enabled: func(channel string) bool { return channel == "lobby" },
	})
	defer presence.Close()
	hub := pubsub.NewHub(broker, pubsub.Options{OnOpened: presence.ChannelOpened, OnClosed: presence.ChannelClosed})
	defer hub.Close()
	ctx := context.Background()

	s, err := hub.Subscribe(ctx, []pubsub.Start{{Channel: "lobby"}})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	membership, ok := presence.Join("lobby", "alice", nil)
	if !ok {
		log.Fatal("the channel has no presence")
	}
	defer presence.Leave(membership)

	deliveries, err := s.Next(ctx, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %s\n", deliveries[0].Message.Type, deliveries[0].Message.Data)
	page, err := presence.Members(ctx, "lobby", "", 10)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("members:", page.Count)
	// Output:
	// comet.join {"user":"alice"}
	// members: 1
}
