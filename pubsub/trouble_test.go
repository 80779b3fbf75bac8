package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"comet/pubsub"
	"comet/pubsub/membroker"
)

// troubled is a broker of two shards, whose logs can be in trouble: the one of
// the channels that begin with "far/" may not answer, channels may have no log,
// and reading takes time.
type troubled struct {
	pubsub.Broker
	perMiB time.Duration // of what a Read asks for

	mu       sync.Mutex
	hangs    bool
	doubtful bool // a takeover of the shard that may hang is not confirmed
	noLog    map[string]bool
	refused  string // a channel that the broker refuses to read
	sink     pubsub.Sink
	reads    [][]pubsub.Query
}

func (b *troubled) setDoubtful(doubtful bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.doubtful = doubtful
}

func newTroubled(t *testing.T) (*troubled, *pubsub.Hub) {
	b := &troubled{
		Broker: membroker.New(membroker.Options{Size: 1000, TTL: time.Hour, KeyWindow: time.Minute}).Node(),
		noLog:  make(map[string]bool),
	}
	hub := pubsub.NewHub(b, pubsub.Options{Linger: 5 * time.Second, Timeout: 3 * time.Second, Sweep: time.Hour})
	t.Cleanup(func() {
		hub.Close()
		b.Close()
	})
	return b, hub
}

func isFar(channel string) bool { return strings.HasPrefix(channel, "far/") }

func (b *troubled) Shard(channel string) any { return isFar(channel) }

func (b *troubled) Relay(ctx context.Context, s pubsub.Sink) error {
	b.mu.Lock()
	b.sink = s
	b.mu.Unlock()
	return b.Broker.Relay(ctx, s)
}

// breakRelay makes the hub read all channels again.
func (b *troubled) breakRelay(channels ...string) {
	b.sink.Disconnected(time.Now(), channels...)
	for _, channel := range channels {
		b.sink.Subscribed(channel)
	}
}

func (b *troubled) Read(ctx context.Context, queries []pubsub.Query) []pubsub.Page {
	b.mu.Lock()
	b.reads = append(b.reads, queries)
	hangs, wait := false, time.Duration(0)
	for _, q := range queries {
		hangs = hangs || b.hangs && isFar(q.Channel)
	}
	b.mu.Unlock()
	pages := b.Broker.Read(ctx, queries)
	for i := range pages {
		wait += b.perMiB * time.Duration(pages[i].Size()) / (1 << 20)
	}
	late := time.After(wait)
	if hangs {
		late = nil
	}
	var err error
	select {
	case <-late:
	case <-ctx.Done():
		err = fmt.Errorf("%w: %w", pubsub.ErrUnavailable, context.Cause(ctx))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, q := range queries {
		switch {
		case b.doubtful && isFar(q.Channel):
			pages[i] = pubsub.Page{Err: pubsub.ErrUnconfirmed}
		case q.Channel == b.refused:
			pages[i] = pubsub.Page{Err: fmt.Errorf("%w: NOPERM", pubsub.ErrUnavailable)}
		case b.noLog[q.Channel]:
			pages[i] = pubsub.Page{Err: pubsub.ErrUnreadable}
		case err != nil:
			pages[i] = pubsub.Page{Err: err}
		}
	}
	return pages
}

func (b *troubled) set(hangs bool, noLog ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hangs = hangs
	clear(b.noLog)
	for _, channel := range noLog {
		b.noLog[channel] = true
	}
}

func (b *troubled) countReads() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.reads)
}

func subscribe(t *testing.T, hub *pubsub.Hub, starts ...pubsub.Start) *pubsub.Subscriber {
	t.Helper()
	s, err := hub.Subscribe(t.Context(), starts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func publishData(t *testing.T, hub *pubsub.Hub, channel string, data []byte) pubsub.ID {
	t.Helper()
	r := hub.Publish(t.Context(), []pubsub.Draft{{Channel: channel, Data: data}})[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r.ID
}

// wantGoesOn fails unless everything goes on in a channel of the near shard
// without any delay.
func wantGoesOn(t *testing.T, hub *pubsub.Hub, channel string) {
	t.Helper()
	began := time.Now()
	first := pubsub.CursorAfter(publishData(t, hub, channel, []byte("1")))
	s := subscribe(t, hub, pubsub.Start{Channel: channel})
	defer s.Close()
	second := publishData(t, hub, channel, []byte("2"))
	if items, err := s.Next(t.Context(), 10); err != nil || len(items) != 1 || items[0].Message.ID != second {
		t.Errorf("delivered %+v, %v", items, err)
	}
	back := subscribe(t, hub, pubsub.Start{Channel: channel, From: pubsub.From{Cursor: &first}})
	defer back.Close()
	if items, err := back.Next(t.Context(), 10); err != nil || len(items) != 1 || items[0].Message.ID != second {
		t.Errorf("resumed with %+v, %v", items, err)
	}
	if took := time.Since(began); took > 0 {
		t.Errorf("others waited %v", took)
	}
}

// A shard that does not answer holds up its own channels alone, however many,
// and everything that waits for it ends with its context.
func TestShardHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, hub := newTroubled(t)
		var far []string
		for i := range 1000 {
			far = append(far, fmt.Sprint("far/", i))
			defer subscribe(t, hub, pubsub.Start{Channel: far[i]}).Close()
		}
		cursor := pubsub.CursorAfter(publishData(t, hub, "far/log", []byte("1")))
		publishData(t, hub, "far/log", []byte("2"))
		replaying := subscribe(t, hub, pubsub.Start{Channel: "far/log", From: pubsub.From{Cursor: &cursor}})
		defer replaying.Close()
		live := subscribe(t, hub, pubsub.Start{Channel: "live"})
		defer live.Close()
		b.set(true)
		b.breakRelay(far...)
		for i := range 20 {
			go hub.Subscribe(t.Context(), []pubsub.Start{{Channel: fmt.Sprint("far/new/", i)}})
			time.Sleep(500 * time.Millisecond)
			wantGoesOn(t, hub, fmt.Sprint("near/", i))
			began := time.Now()
			b.sink.Disconnected(time.Now(), "live")
			publishData(t, hub, "live", []byte("1"))
			b.sink.Subscribed("live")
			if items, err := live.Next(t.Context(), 10); err != nil || len(items) != 1 || time.Since(began) > 0 {
				t.Errorf("caught up with %+v, %v, after %v", items, err, time.Since(began))
			}
		}
		for name, wait := range map[string]func(context.Context) error{
			"opening": func(ctx context.Context) error {
				_, err := hub.Subscribe(ctx, []pubsub.Start{{Channel: "far/new"}})
				return err
			},
			"resuming": func(ctx context.Context) error {
				_, err := hub.Subscribe(ctx, []pubsub.Start{{Channel: "far/0", From: pubsub.From{Cursor: &cursor}}})
				return err
			},
			"Next": func(ctx context.Context) error {
				for {
					if _, err := replaying.Next(ctx, 1); err != nil {
						return err
					}
				}
			},
			"Read": func(ctx context.Context) error {
				_, err := hub.Read(ctx, pubsub.Query{Channel: "far/log", Limit: 1})
				if errors.Is(err, context.Canceled) {
					return context.Canceled
				}
				return err
			},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			began := time.Now()
			if err := wait(ctx); !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
				t.Errorf("%s: %v after %v, want its context's end after 1s", name, err, time.Since(began))
			}
		}
		_, err := hub.Subscribe(t.Context(), []pubsub.Start{{Channel: "far/0", From: pubsub.From{Cursor: &cursor}}})
		if !errors.Is(err, pubsub.ErrUnavailable) {
			t.Errorf("a resume that cannot be served: %v, want ErrUnavailable", err)
		}
		began := time.Now()
		hub.Close()
		if took := time.Since(began); took > 0 {
			t.Errorf("Close took %v", took)
		}
	})
}

// A log that cannot be read is one gap to its subscribers and an error to
// new ones. Others do not notice, and it is not read once it is closed.
func TestLogUnreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, hub := newTroubled(t)
		s := subscribe(t, hub, pubsub.Start{Channel: "bad"})
		publishData(t, hub, "worse", []byte("1"))
		replaying := subscribe(t, hub, pubsub.Start{Channel: "worse", From: pubsub.From{Earliest: true}})
		b.set(false, "bad", "worse", "new")
		b.breakRelay("bad", "worse")
		for i := range 20 {
			time.Sleep(100 * time.Millisecond)
			wantGoesOn(t, hub, fmt.Sprint("near/", i))
			if _, err := hub.Subscribe(t.Context(), []pubsub.Start{{Channel: "new"}}); !errors.Is(err, pubsub.ErrUnreadable) {
				t.Errorf("opening: %v, want ErrUnreadable", err)
			}
		}
		if _, err := hub.Subscribe(t.Context(), []pubsub.Start{{Channel: "worse", From: pubsub.From{Cursor: &pubsub.Cursor{}}}}); !errors.Is(err, pubsub.ErrUnreadable) {
			t.Errorf("resuming: %v, want ErrUnreadable", err)
		}
		wantGaps(t, s, 1)
		wantGaps(t, replaying, 1)
		b.set(false)
		time.Sleep(3 * time.Second)
		publishData(t, hub, "bad", []byte("3"))
		if items, err := s.Next(t.Context(), 10); err != nil || len(items) != 1 || items[0].Message == nil {
			t.Errorf("after the trouble %+v, %v, want a message", items, err)
		}

		b.set(false, "bad", "worse", "new")
		b.breakRelay("bad", "worse")
		s.Close()
		replaying.Close()
		time.Sleep(15 * time.Second) // Linger, and until retries would be due
		before := b.countReads()
		time.Sleep(time.Minute)
		if n := b.countReads() - before; n > 0 {
			t.Errorf("%d reads of channels that are closed", n)
		}
	})
}

// A channel that the broker refuses to read delays no other one.
func TestChannelRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, hub := newTroubled(t)
		b.refused = "refused"
		for i := range 20 {
			go hub.Subscribe(t.Context(), []pubsub.Start{{Channel: "refused"}})
			time.Sleep(time.Second)
			wantGoesOn(t, hub, fmt.Sprint("near/", i))
		}
	})
}

// wantGaps fails unless s has want gaps of an unreadable log, and messages
// otherwise.
func wantGaps(t *testing.T, s *pubsub.Subscriber, want int) {
	t.Helper()
	n := 0
	for {
		items, err := s.Poll(t.Context(), 10, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if len(items) == 0 {
			break
		}
		for _, it := range items {
			if it.Gap != nil && it.Gap.Reason == pubsub.Unreadable && it.Gap.From == it.Gap.To {
				n++
			}
		}
	}
	if n != want {
		t.Errorf("%d gaps, want %d", n, want)
	}
}

// A read that timed out is not repeated in the same size: channels that have
// missed much catch up over a slow broker, and others open meanwhile.
func TestCatchUpSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, hub := newTroubled(t)
		const channels, messages = 64, 6
		large := fmt.Appendf(nil, "%q", strings.Repeat("x", 512<<10))
		var names []string
		var subs []*pubsub.Subscriber
		for i := range channels {
			names = append(names, fmt.Sprint("far/", i))
			subs = append(subs, subscribe(t, hub, pubsub.Start{Channel: names[i]}))
		}
		b.sink.Disconnected(time.Now(), names...)
		for _, name := range names {
			for range messages {
				publishData(t, hub, name, large)
			}
		}
		b.perMiB = 2500 * time.Millisecond // so that a read may have one message, and no more
		for _, name := range names {
			b.sink.Subscribed(name)
		}
		wantGoesOn(t, hub, "near/1")
		began := time.Now()
		fresh := subscribe(t, hub, pubsub.Start{Channel: "far/fresh"})
		if took := time.Since(began); took > 0 {
			t.Errorf("opening waited %v for what others had missed", took)
		}
		fresh.Close()
		var all sync.WaitGroup
		for i, s := range subs {
			all.Go(func() {
				defer s.Close()
				for got := 0; got < messages; {
					items, err := s.Next(t.Context(), 100)
					if err != nil || items[0].Message == nil {
						t.Errorf("%s: %+v, %v", names[i], items, err)
						return
					}
					got += len(items)
				}
			})
		}
		all.Wait()
		least := time.Duration(channels*messages) * b.perMiB / 2
		if took := time.Since(began); took > 2*least {
			t.Errorf("took %v, want at most twice the %v that reading takes", took, least)
		}
	})
}

// A subscriber of many channels resumes in a few round trips, and gets and holds
// little of a large log at a time.
func TestReplayIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, hub := newTroubled(t)
		var starts []pubsub.Start
		for i := range 64 {
			channel := fmt.Sprint("c", i)
			cursor := pubsub.CursorAfter(publishData(t, hub, channel, []byte("1")))
			publishData(t, hub, channel, []byte("2"))
			starts = append(starts, pubsub.Start{Channel: channel, From: pubsub.From{Cursor: &cursor}})
		}
		before := b.countReads()
		s := subscribe(t, hub, starts...)
		if items, err := s.Poll(t.Context(), 1000, 0); err != nil || len(items) != len(starts) {
			t.Errorf("%d items, %v, want one of each of %d channels", len(items), err, len(starts))
		}
		opened := 1 // of 64 tails
		for _, reads := range b.reads[before:] {
			if reads[0].Limit == 0 {
				opened++
			}
		}
		if n := b.countReads() - before - opened; n > 4 {
			t.Errorf("%d reads", n)
		}
		s.Close()

		large := fmt.Appendf(nil, "%q", strings.Repeat("x", 100<<10))
		const messages = 300
		for range messages {
			publishData(t, hub, "large", large)
		}
		for name, from := range map[string]pubsub.From{"earliest": {Earliest: true}, "last": {Last: 1000}} {
			s := subscribe(t, hub, pubsub.Start{Channel: "large", From: from})
			got := 0
			for {
				items, err := s.Poll(t.Context(), 1000, 0)
				if err != nil {
					t.Fatal(err)
				}
				if len(items) == 0 {
					break
				}
				if size := len(items) * len(large); size > pubsub.PageBytes+len(large) {
					t.Errorf("%s: %d bytes at once", name, size)
				}
				got += len(items)
			}
			want := messages
			if name == "last" {
				want = 4 << 20 / len(large)
			}
			if got != want {
				t.Errorf("%s: %d messages, want %d", name, got, want)
			}
			s.Close()
		}
	})
}
