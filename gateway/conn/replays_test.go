package conn

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func addressOf(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }

// begin has a client begin, which waits; the result comes when its turn does.
func begin(t *testing.T, r *Replays, address netip.Addr) (result chan error, turn func() (context.Context, *Replay)) {
	result = make(chan error, 1)
	var ctx context.Context
	var p *Replay
	go func() {
		var err error
		ctx, p, err = r.Begin(t.Context(), address)
		result <- err
	}()
	synctest.Wait()
	return result, func() (context.Context, *Replay) { return ctx, p }
}

// There are as many replays as turns; the next one gets its turn when one ends,
// or an error when none does.
func TestReplayTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewReplays(8 * replayShare)
		var all []*Replay
		for i := range 8 {
			ended, turn := begin(t, r, addressOf(i))
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			_, p := turn()
			all = append(all, p)
		}
		waits, turn := begin(t, r, addressOf(100))
		late, _ := begin(t, r, addressOf(101))
		if got, want := r.Stats(), (ReplayStats{Running: 8, Waiting: 2, Turns: 8}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		all[3].End()
		all[3].End() // changes nothing
		if err := <-waits; err != nil {
			t.Errorf("the next one: %v", err)
		}
		busy := time.AfterFunc(0, func() {})
		for range 10 { // all make progress, so none makes room
			time.Sleep(replayQueueTimeout / 10)
			for _, p := range all {
				p.Progress()
			}
			_, p := turn()
			p.Progress()
		}
		busy.Stop()
		synctest.Wait()
		if err := <-late; !errors.Is(err, ErrTooManyReplays) {
			t.Errorf("one whose turn did not come: %v", err)
		}
		_, p := turn()
		for _, p := range append(all, p) {
			p.End()
		}
		if got, want := r.Stats(), (ReplayStats{Turns: 8}); got != want || len(r.turnsOf)+len(r.waitingOf) > 0 {
			t.Errorf("at the end %+v, %v, %v", got, r.turnsOf, r.waitingOf)
		}
	})
}

// One that has stalled makes room for one that waits, the longest first, and as
// many as wait.
func TestStalledReplayMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewReplays(4 * replayShare)
		var contexts []context.Context
		var all []*Replay
		for i := range 4 {
			_, turn := begin(t, r, addressOf(i))
			ctx, p := turn()
			contexts, all = append(contexts, ctx), append(all, p)
			context.AfterFunc(ctx, p.End) // as its stream would
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		for i, ctx := range contexts {
			if ctx.Err() != nil {
				t.Fatalf("replay %d was ended though none waits", i)
			}
		}
		all[0].Progress()
		began := time.Now()
		first, _ := begin(t, r, addressOf(10))
		second, _ := begin(t, r, addressOf(11))
		if err := errors.Join(<-first, <-second); err != nil || time.Since(began) > replayStallTimeout {
			t.Errorf("those that waited: %v after %v", err, time.Since(began))
		}
		for i, want := range []error{nil, Slow, Slow, nil} {
			if got := context.Cause(contexts[i]); got != want {
				t.Errorf("replay %d ended with %v, want %v", i, got, want)
			}
		}
	})
}

// An address leaves turns, and places to wait, to others.
func TestReplaysOfOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewReplays(8 * replayShare)
		greedy, refused := addressOf(1), 0
		for range 100 {
			if ended, _ := begin(t, r, greedy); len(ended) > 0 {
				if err := <-ended; err != nil {
					refused++
				}
			}
		}
		if s := r.Stats(); s.Running != 2 || s.Waiting != 8 || refused != 90 {
			t.Errorf("of one address %+v, and %d refused", s, refused)
		}
		for i := range 6 {
			if ended, _ := begin(t, r, addressOf(10+i)); len(ended) == 0 {
				t.Errorf("client %d of another address waits", i)
			}
		}
	})
}

// A client that waits leaves when its context ends, and takes no turn.
func TestReplayWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewReplays(replayShare)
		_, turn := begin(t, r, addressOf(1))
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(Shutdown) })
		began := time.Now()
		if _, _, err := r.Begin(ctx, addressOf(2)); !errors.Is(err, Shutdown) || time.Since(began) != time.Second {
			t.Errorf("ended with %v after %v", err, time.Since(began))
		}
		_, p := turn()
		p.End()
		if _, p, err := r.Begin(t.Context(), addressOf(3)); err != nil {
			t.Error(err)
		} else {
			p.End()
		}
		var none *Replay
		none.Progress()
		none.End()
	})
}

// One that takes more turns leaves those of others, and gives back all.
func TestReplayGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewReplays(8 * replayShare)
		_, first := begin(t, r, addressOf(1))
		_, p := first()
		if !p.Grow() || p.Grow() {
			t.Error("not exactly the quarter of an address")
		}
		var others []*Replay
		for i := range 3 {
			_, turn := begin(t, r, addressOf(10+i))
			_, other := turn()
			if !other.Grow() {
				t.Errorf("client %d of another address does not grow", i)
			}
			others = append(others, other)
		}
		if waits, _ := begin(t, r, addressOf(20)); len(waits) > 0 || others[0].Grow() {
			t.Error("there are more turns than eight")
		}
		p.End()
		if p.Grow() {
			t.Error("one that has ended grows")
		}
		for _, other := range others {
			other.End()
		}
		if r.used != 1 || len(r.turnsOf) != 1 || r.Stats().Running != 1 {
			t.Errorf("%d turns are taken, by %v; want that of the one that waited", r.used, r.turnsOf)
		}
	})
}

// Clients that wait because their own address has its share end no replay of another.
func TestStalledReplayOfAnotherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewReplays(8 * replayShare)
		_, turn := begin(t, r, addressOf(1))
		slow, _ := turn()
		time.Sleep(time.Minute)
		greedy := addressOf(2)
		for range 2 {
			_, turn := begin(t, r, greedy)
			ctx, p := turn()
			context.AfterFunc(ctx, p.End)
		}
		if err := <-first(begin(t, r, greedy)); err != nil {
			t.Errorf("one of its own did not make room: %v", err)
		}
		if slow.Err() != nil {
			t.Error("one of another address was ended for nothing")
		}
	})
}

func first[A, B any](a A, _ B) A { return a }

// A client that does not read an answer makes room for one that waits, and one
// that reads slowly does not.
func TestWriteAnswer(t *testing.T) {
	for name, reads := range map[string]bool{"stalled": false, "slow": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := NewReplays(replayShare)
				l := &pipes{dialed: make(chan net.Conn), closed: make(chan struct{})}
				written := make(chan error, 1)
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					ctx, p, err := r.Begin(req.Context(), addressOf(1))
					if err == nil {
						err = p.WriteAnswer(ctx, w, make([]byte, 10*answerPiece))
						p.End()
					}
					written <- err
				})}
				go func() { _ = server.Serve(l) }()
				defer server.Close()
				client, theirs := net.Pipe()
				defer client.Close()
				l.dialed <- theirs
				_, _ = io.WriteString(client, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
				if reads {
					go func() {
						for b := make([]byte, answerPiece); ; time.Sleep(time.Second) {
							if _, err := io.ReadFull(client, b); err != nil {
								return
							}
						}
					}()
				}
				time.Sleep(replayStallTimeout)
				_, p, err := r.Begin(t.Context(), addressOf(2))
				if (err == nil) == reads {
					t.Errorf("the one that waits: %v", err)
				}
				p.End()
				if err := <-written; (err == nil) != reads {
					t.Errorf("the answer: %v", err)
				}
			})
		})
	}
}
