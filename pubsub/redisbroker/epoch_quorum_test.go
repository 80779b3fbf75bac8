package redisbroker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"comet/pubsub"
)

// A passed check counts for one transition only, so that it leads no reader from a newer
// epoch back. A refusal counts for readers from all epochs, for a shorter time.
func TestConfirmationIsOfATransition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c quorumChecks
		p, no := &primary{}, errors.New("no")
		recall := func(from, to int) (error, bool) {
			x := epochTransition{pubsub.Epoch(from), pubsub.Epoch(to)}
			return c.cached(x, p)
		}
		c.record(epochTransition{1, 2}, p, time.Now(), nil)
		if err, ok := recall(1, 2); !ok || err != nil {
			t.Error("it is forgotten")
		}
		for _, other := range [][2]int{{3, 2}, {2, 1}} {
			if _, ok := recall(other[0], other[1]); ok {
				t.Errorf("it counts for %v", other)
			}
		}
		time.Sleep(quorumTTL)
		if _, ok := recall(1, 2); ok {
			t.Error("it counts for ever")
		}

		c.record(epochTransition{1, 5}, p, time.Now(), no)
		if err, ok := recall(4, 5); !ok || err != no {
			t.Errorf("a refusal is forgotten: %v, %v", err, ok)
		}
		time.Sleep(refusalTTL)
		if _, ok := recall(1, 5); ok {
			t.Error("a refusal counts for ever")
		}
		if other, _, age := c.oldest(); other != p || age != refusalTTL {
			t.Errorf("it has waited %v", age)
		}
		c.record(epochTransition{1, 5}, p, time.Now(), nil)
		if other, _, _ := c.oldest(); other != nil {
			t.Error("it waits although it is confirmed")
		}
		c.record(epochTransition{1, 5}, p, time.Now(), no)
		c.record(epochTransition{1, 5}, p, time.Now(), errNewerEpoch)
		if other, _, _ := c.oldest(); other != nil {
			t.Error("it waits although the primary is in another generation")
		}
	})
}

// fakeQuorum is a topology of one primary; checkQuorum returns err.
type fakeQuorum struct {
	single
	asked int
	err   error
}

func (d *fakeQuorum) moves() bool { return true }

func (d *fakeQuorum) checkQuorum(context.Context, *primary, pubsub.Epoch) error {
	d.asked++
	time.Sleep(10 * time.Millisecond)
	return d.err
}

// All readers share one check of an unconfirmed takeover. It makes the node unready
// after some seconds and is logged once, until it is confirmed.
func TestUnconfirmedIsVisible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := &primary{address: "redis.example:6379"}
		d := &fakeQuorum{single: single{p}, err: errors.New("no majority")}
		b := &Broker{options: Options{Timeout: 3 * time.Second}, topology: d, ctx: t.Context(), logger: slog.New(slog.NewTextHandler(&log, nil))}
		read := func(from pubsub.Epoch) error {
			return b.checkEpoch(t.Context(), p, &pubsub.Query{Epoch: from}, &pubsub.Page{Epoch: 2})
		}
		var readers sync.WaitGroup
		for range 100 {
			readers.Go(func() {
				if err := read(1); !errors.Is(err, pubsub.ErrUnconfirmed) || !errors.Is(err, pubsub.ErrUnavailable) || !strings.Contains(err.Error(), "no majority") {
					t.Errorf("read: %v", err)
				}
			})
		}
		readers.Wait()
		if err := read(7); !errors.Is(err, pubsub.ErrUnconfirmed) || d.asked != 1 {
			t.Errorf("read: %v, asked %d times", err, d.asked)
		}
		if err := b.unconfirmedTakeover(); err != nil {
			t.Errorf("at once: %v", err)
		}
		for range 10 {
			time.Sleep(time.Second)
			b.recheckTakeovers(t.Context())
		}
		if err := b.unconfirmedTakeover(); err == nil || !strings.Contains(err.Error(), "no majority") {
			t.Errorf("after 10 s: %v", err)
		}
		if n := strings.Count(log.String(), "WARN"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, log.String())
		}
		d.err = nil
		b.recheckTakeovers(t.Context())
		if err := b.unconfirmedTakeover(); err != nil {
			t.Errorf("confirmed: %v", err)
		}
		if err := read(1); err != nil {
			t.Errorf("confirmed: read: %v", err)
		}
		b.recheckTakeovers(t.Context())
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("%d lines of log:\n%s", n, log.String())
		}
	})
}
