package conn

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
	"unique"

	"comet/pubsub"
)

// slowBench is a bench in a bubble whose only writer runs, with a kernel that
// takes 6 ms for each write: a pass through its hundred streams takes 600 ms, and
// one follows the other.
type slowBench struct {
	*bench
	w       *writer
	start   time.Time
	written map[int][]time.Duration // when, by descriptor
	busy    [100]ends               // of the hundred
}

const (
	slowWrite = 6 * time.Millisecond
	tolerance = 250 * time.Millisecond
)

func newSlowBench(t *testing.T, heartbeat time.Duration) *slowBench {
	b := &slowBench{bench: newBench(t, 1, heartbeat), start: time.Now(), written: make(map[int][]time.Duration)}
	b.w = b.parker.writers[0]
	b.w.clock.elapsed = func() time.Duration { return time.Since(b.start) }
	for i := range b.busy {
		b.park(&parked{writer: b.w, ended: b.noteEnd(&b.busy[i])}, []string{"busy"})
	}
	b.w.socketWrite = func(fd int, data []byte) (int, error) {
		time.Sleep(slowWrite)
		b.written[fd] = append(b.written[fd], time.Since(b.start))
		return len(data), nil
	}
	return b
}

// run has the writer work for d, while more comes for the hundred all the time.
func (b *slowBench) run(d time.Duration) {
	b.t.Helper()
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				b.hub.Publish(b.t.Context(), []pubsub.Draft{{Channel: "busy", Data: []byte("1")}})
				time.Sleep(slowWrite)
			}
		}
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.w.run(stop)
	}()
	time.Sleep(d)
	close(stop)
	<-ended
	<-done
}

// ends notes when a stream or poll ends, and why.
type ends struct {
	at  time.Duration
	why CloseReason
}

func (b *slowBench) noteEnd(e *ends) func(CloseReason) {
	return func(why CloseReason) { *e = ends{time.Since(b.start), why} }
}

func (e *ends) want(t *testing.T, what string, after time.Duration, why CloseReason) {
	t.Helper()
	if e.why != why || e.at < after || e.at > after+tolerance {
		t.Errorf("%s ended after %v with %q, want %v and %q", what, e.at, e.why, after, why)
	}
}

// Nothing that has its time is late under long passes, nor early.
func TestDeadlinesUnderLongPasses(t *testing.T) {
	for _, heartbeat := range []time.Duration{25 * time.Second, time.Second} {
		t.Run(fmt.Sprint(heartbeat), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newSlowBench(t, heartbeat)
				var polled, expired, aged, stalled, evicted ends
				b.park(&parked{writer: b.w, ended: b.noteEnd(&polled), poll: &poll{header: unique.Make(""), wait: 2 * time.Second, waiting: true}}, []string{"c"})
				session := func(e *ends, s Session) *testConn {
					p := &parked{writer: b.w, ended: b.noteEnd(e)}
					p.setSession(&s)
					return b.park(p, []string{"c"})
				}
				session(&expired, Session{Until: time.Now().Add(3 * time.Second), Reason: TokenExpired})
				session(&aged, Session{Until: time.Now().Add(70 * time.Second), Reason: MaxAge})
				session(&evicted, Session{User: "eve"})
				quiet := b.addStream(b.w, "quiet")
				full := session(&stalled, Session{})
				full.blocked = true
				b.w.clock.addBlocked(full.parked)
				time.AfterFunc(5*time.Second, func() { b.parker.Revoke("eve", time.Now(), Revoked) })
				b.run(80 * time.Second)

				polled.want(t, "the poll", 2*time.Second, Answered)
				expired.want(t, "the session", 3*time.Second, TokenExpired)
				evicted.want(t, "the evicted one", 5*time.Second, Revoked)
				stalled.want(t, "the stalled stream", writeTimeout, Gone)
				aged.want(t, "the long session", 70*time.Second, MaxAge)
				last := time.Duration(0)
				for _, at := range b.written[int(quiet.fd)] {
					if at-last > heartbeat+tolerance {
						t.Errorf("nothing written from %v until %v, with a heartbeat every %v", last, at, heartbeat)
					}
					last = at
				}
				if len(b.written[int(quiet.fd)]) < int(70*time.Second/heartbeat) {
					t.Errorf("only %d heartbeats", len(b.written[int(quiet.fd)]))
				}
			})
		})
	}
}

// A drain begins and ends in time under long passes, and is even.
func TestDrainUnderLongPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const begin, spread = time.Second, 2 * time.Second
		b := newSlowBench(t, 25*time.Second)
		time.AfterFunc(begin, func() { b.parker.Drain(spread) })
		b.run(10 * time.Second)
		early, late := 0, 0
		for i, end := range b.busy {
			if end.why != Shutdown || end.at < begin || end.at > begin+spread+tolerance {
				t.Errorf("stream %d ended after %v with %q", i, end.at, end.why)
			}
			if end.at < begin+spread/2 {
				early++
			} else {
				late++
			}
		}
		if early < len(b.busy)/5 || late < len(b.busy)/5 {
			t.Errorf("%d of %d ended in the first half", early, len(b.busy))
		}
		select {
		case <-b.w.registry.drained:
		default:
			t.Error("the writer is not empty after the drain")
		}
	})
}

// The schedule keeps nothing of streams that went.
func TestScheduleForgets(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, time.Minute)
	w := b.parker.writers[0]
	for i := range 100 {
		p := &parked{writer: w, ended: func(CloseReason) {}}
		p.setSession(&Session{Until: time.Now().Add(time.Duration(i+1) * time.Second), Reason: MaxAge})
		w.registry.close(b.park(p, []string{"c"}).parked)
		k := b.addPoll(w, "c")
		w.polls.answerEmpty(k.parked, Answered)
		w.registry.close(k.parked)
	}
	for tick, list := range w.clock.due {
		if len(list) > 0 {
			t.Errorf("%d are filed under tick %d", len(list), tick)
		}
	}
	if w.registry.idle.first != nil || w.registry.idle.last != nil {
		t.Error("a connection that has gone still rests")
	}
}

// Of the connections that rest, those that have rested longest are closed first,
// and never one that has just been answered.
func TestCloseIdlePolls(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, time.Minute)
	w := b.parker.writers[0]
	l := Listen(nil, 10, slog.New(slog.DiscardHandler))
	var all []*testConn
	for range 3 {
		k := b.addPoll(w, "c")
		k.owner = &l.unlimited
		w.polls.answerEmpty(k.parked, Answered)
		all = append(all, k)
		for range time.Second / w.clock.tick {
			w.clock.advance()
		}
	}
	fresh, waits := b.addPoll(w, "c"), b.addPoll(w, "c")
	w.polls.answerEmpty(fresh.parked, Answered)
	b.parker.closeIdlePoll()
	w.work()
	if !all[0].removed || all[1].removed || all[2].removed {
		t.Errorf("gone: %v, %v, %v; want the first", all[0].removed, all[1].removed, all[2].removed)
	}
	for range 5 {
		b.parker.closeIdlePoll()
	}
	w.work()
	if !all[1].removed || !all[2].removed || fresh.removed || waits.removed {
		t.Errorf("gone: %v, %v, the fresh one %v, the one that waits %v", all[1].removed, all[2].removed, fresh.removed, waits.removed)
	}
	if closed := l.Stats().Closed; closed != 3 {
		t.Errorf("%d are counted as closed, want 3", closed)
	}
}
