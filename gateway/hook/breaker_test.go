package hook

import (
	"testing"
	"testing/synctest"
	"time"
)

func newBreaker() *breaker { return &breaker{limit: 3, pause: 5 * time.Second} }

func (b *breaker) mustEnter(t *testing.T) (era int64) {
	t.Helper()
	era, _, ok := b.enter()
	if !ok {
		t.Fatal("kept out")
	}
	return era
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		for range 5 { // a success in between begins the count again
			b.failed(b.mustEnter(t))
			b.failed(b.mustEnter(t))
			b.succeeded(b.mustEnter(t))
		}
		for i := range 3 {
			if opened := b.failed(b.mustEnter(t)); opened != (i == 2) {
				t.Errorf("failure %d opened: %v", i+1, opened)
			}
		}
		time.Sleep(time.Second)
		if _, wait, ok := b.enter(); ok || wait != 4*time.Second || !b.open() {
			t.Errorf("after 1s of the pause: %v, %v", wait, ok)
		}
		time.Sleep(4 * time.Second)
		probe := b.mustEnter(t)
		if _, wait, ok := b.enter(); ok || wait != 0 {
			t.Errorf("beside the probe: %v, %v", wait, ok)
		}
		if b.failed(probe) { // one is enough now, and it is open already
			t.Error("opened again")
		}
		if _, wait, ok := b.enter(); ok || wait != 5*time.Second {
			t.Errorf("after a failed probe: %v, %v", wait, ok)
		}
		time.Sleep(5 * time.Second)
		b.left(b.mustEnter(t)) // somebody else may probe then
		if !b.succeeded(b.mustEnter(t)) || b.open() {
			t.Error("a good probe did not close it")
		}
		b.failed(b.mustEnter(t))
		b.failed(b.mustEnter(t))
		b.mustEnter(t)
	})
}

// What began before the breaker opened or closed must change nothing.
func TestBreakerLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		late := b.mustEnter(t)
		for range 3 {
			b.failed(b.mustEnter(t))
		}
		if b.succeeded(late) || !b.open() {
			t.Error("a late success closed it")
		}
		time.Sleep(5 * time.Second)
		probe := b.mustEnter(t)
		b.failed(late)
		b.left(late)
		if _, _, ok := b.enter(); ok {
			t.Error("a late result ended the probe")
		}
		b.succeeded(probe)
		for range 3 {
			b.failed(late)
		}
		if b.open() {
			t.Error("late failures opened it")
		}
	})
}
