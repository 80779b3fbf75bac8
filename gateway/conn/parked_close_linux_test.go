package conn

import (
	"strings"
	"testing"
	"time"
	"unique"
)

// A drain closes all connections evenly over its spread, and new ones at once.
func TestDrainSpread(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, time.Minute)
	w := b.parker.writers[0]
	const streams, ticks = 95, 10
	for range streams {
		b.addStream(w, "c")
	}
	w.drain(ticks * w.clock.tick)
	w.work()
	most, before := 0, streams
	for tick := range ticks + 1 {
		if late := b.addStream(w, "c"); !late.removed {
			t.Fatalf("tick %d: a connection that came during the drain stays", tick)
		}
		most, before = max(most, before-len(w.registry.all)), len(w.registry.all)
		w.clock.advance()
	}
	if most > streams/ticks+1 {
		t.Errorf("%d were closed in one tick, want at most %d", most, streams/ticks+1)
	}
	if left := b.parker.WaitDrained(t.Context()); left != 0 || len(w.registry.all) != 0 {
		t.Errorf("%d are left, and counted %d", len(w.registry.all), left)
	}
}

// A revocation closes all connections of its user, also those that are about to be
// parked, and no others.
func TestRevoke(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, time.Minute)
	w := b.parker.writers[0]
	now := time.Now()
	seat := func(user string, issued time.Time) *testConn {
		s := b.addStream(w, "c")
		s.setSession(&Session{User: user, Issued: issued})
		return s
	}
	stays, goes, goesToo := seat("alice", time.Time{}), seat("bob", time.Time{}), seat("bob", now.Add(-time.Second))
	newer := seat("bob", now)
	b.parker.Revoke("bob", now, Revoked)
	w.work()
	for _, s := range []*testConn{goes, goesToo} {
		if text := string(s.readAll()); !s.removed || !strings.Contains(text, `"reason":"revoked"`) || !strings.Contains(text, "retry: ") {
			t.Errorf("gone: %v, with %q", s.removed, text)
		}
	}
	if text := stays.readAll(); stays.removed || len(text) > 0 {
		t.Errorf("another user got %q", text)
	}

	if newer.removed {
		t.Error("a connection with a newer credential is closed")
	}

	late := seat("bob", now.Add(-time.Second))
	w.closer.checkNew(late.parked)
	if !late.removed {
		t.Error("a connection that was about to be parked stays")
	}
	again := seat("bob", now.Add(time.Second))
	if w.closer.checkNew(again.parked); again.removed {
		t.Error("a connection that comes with a newer credential is closed")
	}
	for range revocationMemory/w.clock.tick + 1 {
		w.clock.advance()
	}
	if len(w.closer.revoked) > 0 {
		t.Errorf("%d revocations are remembered for ever", len(w.closer.revoked))
	}
}

// A stream ends with its session, and says why.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, time.Minute)
	w := b.parker.writers[0]
	p, other := b.addStream(w, "c"), b.addStream(w, "c")
	p.setSession(&Session{Until: time.Now().Add(-time.Millisecond), Reason: TokenExpired})
	other.setSession(&Session{User: "alice", Until: time.Now().Add(time.Hour), Reason: TokenExpired})
	for range checksPerHeartbeat * w.clock.heartbeatTicks {
		w.clock.advance()
	}
	if text := string(p.readAll()); !p.removed || !strings.Contains(text, `"reason":"token-expired"`) {
		t.Errorf("gone: %v, with %q", p.removed, text)
	}
	if other.removed {
		t.Error("another one ended too")
	}
}

// A parked poll waits no longer than its session.
func TestPollSessionEnds(t *testing.T) {
	t.Parallel()
	p := &parked{poll: &poll{wait: time.Minute}}
	p.setSession(&Session{})
	if got := p.waitLeft(); got != time.Minute {
		t.Errorf("waits %v without an end", got)
	}
	p.setSession(&Session{Until: time.Now().Add(time.Second)})
	if got := p.waitLeft(); got > time.Second {
		t.Errorf("waits %v, past its end", got)
	}
	p.setSession(&Session{Until: time.Now().Add(-time.Second)})
	if got := p.waitLeft(); got != 0 {
		t.Errorf("waits %v after its end", got)
	}
	if p.user != unique.Make("") {
		t.Errorf("it is %q's", p.user.Value())
	}
}
