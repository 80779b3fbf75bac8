package hook

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func newBreaker() *breaker { return &breaker{limit: 3, pause: 5 * time.Second} }

func user(i int) identity { return identity{user: fmt.Sprint("user-", i)} }

func (b *breaker) mustAllow(t *testing.T, asker identity) ticket {
	t.Helper()
	pass, _, ok := b.allow(asker)
	if !ok {
		t.Fatalf("%v is kept out", asker)
	}
	return pass
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		for range 5 { // a success in between begins the count again
			b.hasFailed(b.mustAllow(t, user(1)))
			b.hasFailed(b.mustAllow(t, user(2)))
			b.succeeded(b.mustAllow(t, user(3)))
		}
		for range 100 { // one asker's failures are one
			if b.hasFailed(b.mustAllow(t, user(1))) {
				t.Fatal("one asker opened it")
			}
		}
		for i := 2; i <= 3; i++ {
			if opened := b.hasFailed(b.mustAllow(t, user(i))); opened != (i == 3) {
				t.Errorf("asker %d opened: %v", i, opened)
			}
		}
		time.Sleep(time.Second)
		if _, wait, ok := b.allow(user(4)); ok || wait != 4*time.Second || !b.open() {
			t.Errorf("after 1s of the pause: %v, %v", wait, ok)
		}
		time.Sleep(4 * time.Second)
		probe := b.mustAllow(t, user(1))
		if _, wait, ok := b.allow(user(1)); ok || wait != 5*time.Second {
			t.Errorf("a second probe of one asker: %v, %v", wait, ok)
		}
		b.discarded(b.mustAllow(t, user(2))) // says nothing: others may probe
		if b.hasFailed(probe) || b.hasFailed(b.mustAllow(t, user(2))) {
			t.Error("opened again")
		}
		time.Sleep(time.Second)
		last := b.mustAllow(t, user(3))
		if _, _, ok := b.allow(user(4)); ok {
			t.Error("more probes than the limit")
		}
		if b.hasFailed(last) { // enough now: another pause
			t.Error("opened again")
		}
		if _, wait, ok := b.allow(user(4)); ok || wait != 5*time.Second {
			t.Errorf("after failed probes: %v, %v", wait, ok)
		}
		time.Sleep(5 * time.Second)
		if !b.succeeded(b.mustAllow(t, user(1))) || b.open() {
			t.Error("a good probe did not close it")
		}
		b.hasFailed(b.mustAllow(t, user(1)))
		b.hasFailed(b.mustAllow(t, user(2)))
		b.mustAllow(t, user(3))
	})
}

// An asker whose questions always fail neither opens the breaker nor keeps it
// open: another's probe closes it.
func TestBreakerBadAsker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		for i := range 3 {
			b.hasFailed(b.mustAllow(t, user(i)))
		}
		time.Sleep(5 * time.Second)
		b.hasFailed(b.mustAllow(t, user(0)))
		if !b.succeeded(b.mustAllow(t, user(7))) {
			t.Error("a bad asker took the only probe")
		}
	})
}

// One asker alone may probe again after each pause.
func TestBreakerLoneAsker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		for i := range 3 {
			b.hasFailed(b.mustAllow(t, user(i)))
		}
		for range 3 {
			time.Sleep(5 * time.Second)
			b.hasFailed(b.mustAllow(t, user(0)))
			if _, wait, ok := b.allow(user(0)); ok || wait != 5*time.Second {
				t.Errorf("after its probe: %v, %v", wait, ok)
			}
		}
	})
}

// A key speaks for many: each of its questions counts.
func TestBreakerKey(t *testing.T) {
	b := newBreaker()
	for i := range 3 {
		if opened := b.hasFailed(b.mustAllow(t, identity{key: "backend"})); opened != (i == 2) {
			t.Errorf("failure %d opened: %v", i+1, opened)
		}
	}
}

// Results of questions from before the breaker opened or closed change nothing.
func TestBreakerLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		late := b.mustAllow(t, user(9))
		for i := range 3 {
			b.hasFailed(b.mustAllow(t, user(i)))
		}
		if b.succeeded(late) || !b.open() {
			t.Error("a late success closed it")
		}
		time.Sleep(5 * time.Second)
		probe := b.mustAllow(t, user(1))
		b.hasFailed(late)
		b.discarded(late)
		if _, _, ok := b.allow(user(1)); ok {
			t.Error("a late result ended the probe")
		}
		time.Sleep(5 * time.Second) // a probe that takes longer than its round
		next := b.mustAllow(t, user(1))
		if b.succeeded(probe) {
			t.Error("a probe of the round before closed it")
		}
		b.succeeded(next)
		for range 3 {
			b.hasFailed(late)
		}
		if b.open() {
			t.Error("late failures opened it")
		}
	})
}
