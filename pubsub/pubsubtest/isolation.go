package pubsubtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"comet/internal/testenv"
	"comet/pubsub"
)

// badChannel is the channel that a trouble is about.
const badChannel = "bad"

// A trouble is what one channel, client or server of a cluster has.
type trouble struct {
	name  string
	needs func(c *Cluster) bool
	alone bool // see Options.Alone
	// begin makes the trouble, which lasts until the test ends.
	begin func(w *neighbours)
}

var troubles = []trouble{
	{"undecodable data", func(c *Cluster) bool { return c.Append != nil }, false, func(w *neighbours) {
		read(w.t, w.hub, badChannel, pubsub.From{})
		w.keep(func() {
			w.cluster.Append(badChannel)
			w.reopen(pubsub.From{Earliest: true})
		})
	}},
	{"key of the wrong type", func(c *Cluster) bool { return c.Occupy != nil }, false, func(w *neighbours) {
		read(w.t, w.hub, badChannel, pubsub.From{})
		w.cluster.Occupy(badChannel)
		w.keep(func() {
			w.reopen(pubsub.From{Last: 1})
			w.hub.Publish(w.ctx, []pubsub.Draft{{Channel: badChannel, Data: number(1)}})
		})
	}},
	{"hanging primary", func(c *Cluster) bool { return c.Freeze != nil }, true, func(w *neighbours) {
		w.t.Cleanup(w.cluster.Freeze(badChannel))
		w.keep(func() { w.reopen(pubsub.From{Cursor: &pubsub.Cursor{}}) })
		var opened atomic.Int64
		for range 10 {
			w.keep(func() { _ = w.open(w.name(fmt.Sprint("theirs", opened.Add(1)), true), pubsub.From{}) })
		}
	}},
	{"replaced primary", func(c *Cluster) bool { return c.Replace != nil }, true, func(w *neighbours) {
		read(w.t, w.hub, badChannel, pubsub.From{})
		w.cluster.Replace(badChannel)
		w.keep(func() { w.reopen(pubsub.From{Earliest: true}) })
	}},
	{"large log", nil, false, func(w *neighbours) {
		w.fill(badChannel)
		w.keep(func() {
			w.reopen(pubsub.From{Earliest: true})
			w.reopen(pubsub.From{Last: pubsub.MaxPage})
			_, _ = w.hub.Read(w.ctx, pubsub.Query{Channel: badChannel, Limit: pubsub.MaxPage})
		})
	}},
	{"clients that never read", nil, false, func(w *neighbours) {
		w.fill(badChannel)
		for range 50 {
			w.stall(pubsub.From{})
			w.stall(pubsub.From{Earliest: true})
		}
		w.keep(func() { w.hub.Publish(w.ctx, []pubsub.Draft{{Channel: badChannel, Data: largeData}}) })
	}},
}

// goesOn is what must go on for others.
func (w *neighbours) goesOn() []Operation {
	return []Operation{
		{"open", func(n int) error { return w.open(w.name(fmt.Sprint("open", n), false), pubsub.From{}) }},
		{"resume", func(int) error { return w.open(w.log, pubsub.From{Cursor: &w.first}) }},
		{"last", func(int) error { return w.open(w.log, pubsub.From{Last: 3}) }},
		{"publish", func(n int) error {
			return w.hub.Publish(w.ctx, []pubsub.Draft{{Channel: w.log, Data: number(n)}})[0].Err
		}},
		{"deliver", func(n int) error {
			data := fmt.Appendf(nil, `"deliver %d"`, n)
			r := w.other.Publish(w.ctx, []pubsub.Draft{{Channel: w.name("live", false), Data: data}})[0]
			w.live.message(data)
			return r.Err
		}},
		{"presence", func(int) error {
			_, err := w.broker.Members(w.ctx, w.log, "", 10)
			return err
		}},
	}
}

// testIsolation has each trouble in one channel, and sees what goes on in others.
func testIsolation(t *testing.T, newCluster New) {
	for _, trouble := range troubles {
		t.Run(strings.ReplaceAll(trouble.name, " ", "-"), func(t *testing.T) {
			o := small
			o.Alone = trouble.alone
			c := newCluster(t, o)
			need(t, trouble.needs == nil || trouble.needs(c), "make this trouble: "+trouble.name)
			w := newNeighbours(t, c)
			Harmless(t, w.goesOn(), func() { trouble.begin(w) })
		})
	}
}

// neighbours are the channels, clients and nodes that have no trouble.
type neighbours struct {
	t          *testing.T
	ctx        context.Context // ends before the test's cleanups
	cluster    *Cluster
	broker     pubsub.Broker
	hub, other *pubsub.Hub // of the node that has the trouble, and of another
	log        string      // a channel with messages
	first      pubsub.Cursor
	live       *reader
}

func newNeighbours(t *testing.T, c *Cluster) *neighbours {
	w := &neighbours{t: t, ctx: t.Context(), cluster: c, broker: c.Node(), other: node(t, c)}
	w.hub = hubOver(t, w.broker, pubsub.Options{})
	publish(t, w.hub, badChannel, number(0)) // by now the broker knows its shards
	w.log = w.name("log", false)
	w.first = pubsub.CursorAfter(publishNumbers(t, w.hub, w.log, 0, 9)[0])
	w.live = read(t, w.hub, w.name("live", false), pubsub.From{})
	return w
}

// name makes a channel's name of a prefix, on the shard of the bad channel or on
// another if there is one.
func (w *neighbours) name(prefix string, with bool) string {
	for i := range 1000 {
		name := fmt.Sprintf("%s-%d", prefix, i)
		if (w.broker.Shard(name) == w.broker.Shard(badChannel)) == with {
			return name
		}
	}
	return prefix
}

// open subscribes, and reads what is there.
func (w *neighbours) open(channel string, from pubsub.From) error {
	s, err := w.hub.Subscribe(w.ctx, []pubsub.Start{{Channel: channel, From: from}})
	if err != nil {
		return err
	}
	defer s.Close()
	items, err := s.Poll(w.ctx, 100, 0)
	if err == nil && len(items) == 0 && from != (pubsub.From{}) {
		err = errors.New("nothing came")
	}
	return err
}

// reopen is open of the bad channel, whatever comes of it.
func (w *neighbours) reopen(from pubsub.From) { _ = w.open(badChannel, from) }

// stall subscribes to the bad channel, takes the first items, and no more.
func (w *neighbours) stall(from pubsub.From) {
	w.t.Helper()
	s, err := w.hub.Subscribe(w.ctx, []pubsub.Start{{Channel: badChannel, From: from}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Close)
	if _, err := s.Poll(w.ctx, 1, 0); err != nil {
		w.t.Fatal(err)
	}
}

// keep does something again and again until the test ends.
func (w *neighbours) keep(do func()) {
	var done sync.WaitGroup
	done.Go(func() {
		for w.ctx.Err() == nil {
			do()
		}
	})
	w.t.Cleanup(done.Wait)
}

var largeData = fmt.Appendf(nil, "%q", strings.Repeat("x", 300<<10))

// fill publishes 60 MB, or a tenth if large tests do not run.
func (w *neighbours) fill(channel string) {
	w.t.Helper()
	n := 20
	if testenv.All() {
		n = 200
	}
	for range n {
		publish(w.t, w.hub, channel, largeData)
	}
}

// testCancelled freezes the store and sees that every wait ends with its
// context.
func testCancelled(t *testing.T, newCluster New) {
	c := newCluster(t, alone)
	need(t, c.FreezeAll != nil, "freeze its store")
	b := c.Node()
	hub := hubOver(t, b, pubsub.Options{})
	ids := publishNumbers(t, hub, "c", 0, 99)
	at := pubsub.CursorAfter(ids[0])
	replaying, err := hub.Subscribe(t.Context(), []pubsub.Start{{Channel: "c", From: pubsub.From{Cursor: &at}}})
	if err != nil {
		t.Fatal(err)
	}
	defer replaying.Close()
	defer c.FreezeAll()()
	for name, wait := range map[string]func(context.Context) error{
		"opening": func(ctx context.Context) error {
			_, err := hub.Subscribe(ctx, []pubsub.Start{{Channel: "new"}})
			return err
		},
		"resuming": func(ctx context.Context) error {
			_, err := hub.Subscribe(ctx, []pubsub.Start{{Channel: "c", From: pubsub.From{Cursor: &at}}})
			return err
		},
		"Next": func(ctx context.Context) error {
			for {
				if _, err := replaying.Next(ctx, 10); err != nil {
					return err
				}
			}
		},
		"Read": func(ctx context.Context) error {
			_, err := hub.Read(ctx, pubsub.Query{Channel: "c", Limit: 10})
			return err
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- wait(ctx) }()
		pass(t, 100*time.Millisecond) // it waits
		cancel()
		select {
		case err := <-ended: // one that timed out instead would say so
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want its context's error", name, err)
			}
		case <-time.After(patience):
			t.Fatalf("%s does not end with its context", name)
		}
	}
}
