package conn

import (
	"strings"
	"testing"
	"time"
	"unique"
)

// A leave says goodbye evenly over its spread, to all, and to who comes during
// it at once.
func TestLeaveSpread(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, time.Minute)
	w := b.parker.writers[0]
	const streams, ticks = 95, 10
	for range streams {
		b.seat(w, "c")
	}
	w.leave(ticks * w.tick)
	w.work()
	most, before := 0, streams
	for tick := range ticks + 1 {
		if late := b.seat(w, "c"); !late.gone {
			t.Fatalf("tick %d: who came during the leave stays", tick)
		}
		most, before = max(most, before-len(w.all)), len(w.all)
		w.walk()
	}
	if most > streams/ticks+1 {
		t.Errorf("%d goodbyes in one tick, want at most %d", most, streams/ticks+1)
	}
	if left := b.parker.WaitDrained(t.Context()); left != 0 || len(w.all) != 0 {
		t.Errorf("%d are left, and counted %d", len(w.all), left)
	}
}

// A user who is thrown out is so everywhere, on the way in as well, and nobody
// else is.
func TestEvict(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, time.Minute)
	w := b.parker.writers[0]
	now := time.Now()
	seat := func(user string, issued time.Time) *seated {
		s := b.seat(w, "c")
		s.belongTo(&Session{User: user, Issued: issued})
		return s
	}
	stays, goes, goesToo := seat("alice", time.Time{}), seat("bob", time.Time{}), seat("bob", now.Add(-time.Second))
	newer := seat("bob", now)
	b.parker.Revoke("bob", now, Revoked)
	w.work()
	for _, s := range []*seated{goes, goesToo} {
		if text := string(s.drain()); !s.gone || !strings.Contains(text, `"reason":"revoked"`) || !strings.Contains(text, "retry: ") {
			t.Errorf("gone: %v, with %q", s.gone, text)
		}
	}
	if text := stays.drain(); stays.gone || len(text) > 0 {
		t.Errorf("another user was told %q", text)
	}

	if newer.gone {
		t.Error("who got in anew before it was heard is thrown out")
	}

	late := seat("bob", now.Add(-time.Second))
	w.welcome(late.parked)
	if !late.gone {
		t.Error("who was on the way in stays")
	}
	again := seat("bob", now.Add(time.Second))
	if w.welcome(again.parked); again.gone {
		t.Error("who comes back with something newer is still thrown out")
	}
	for range evictMemory/w.tick + 1 {
		w.walk()
	}
	if len(w.evicted) > 0 {
		t.Errorf("%d evictions are remembered for ever", len(w.evicted))
	}
}

// A stream ends with its session, and says why.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, time.Minute)
	w := b.parker.writers[0]
	p, other := b.seat(w, "c"), b.seat(w, "c")
	p.belongTo(&Session{Until: time.Now().Add(-time.Millisecond), Reason: TokenExpired})
	other.belongTo(&Session{User: "alice", Until: time.Now().Add(time.Hour), Reason: TokenExpired})
	for range rounds * w.steps {
		w.walk()
	}
	if text := string(p.drain()); !p.gone || !strings.Contains(text, `"reason":"token-expired"`) {
		t.Errorf("gone: %v, with %q", p.gone, text)
	}
	if other.gone {
		t.Error("another one ended too")
	}
}

// A parked poll waits no longer than its session.
func TestPollSessionEnds(t *testing.T) {
	t.Parallel()
	p := &parked{poll: &poll{wait: time.Minute}}
	p.belongTo(&Session{})
	if got := p.patient(); got != time.Minute {
		t.Errorf("waits %v without an end", got)
	}
	p.belongTo(&Session{Until: time.Now().Add(time.Second)})
	if got := p.patient(); got > time.Second {
		t.Errorf("waits %v, past its end", got)
	}
	p.belongTo(&Session{Until: time.Now().Add(-time.Second)})
	if got := p.patient(); got != 0 {
		t.Errorf("waits %v after its end", got)
	}
	if p.user != unique.Make("") {
		t.Errorf("it is %q's", p.user.Value())
	}
}
