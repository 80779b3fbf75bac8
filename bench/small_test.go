package bench

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var all timers
	var want []instant
	for i := range 1000 {
		at := instant(random.Int64N(500))
		want = append(want, at)
		all.push(alarm{at, int32(i)})
	}
	slices.Sort(want)
	for _, at := range want {
		if first, ok := all.first(); !ok || first != at {
			t.Fatalf("first %d, %v; want %d", first, ok, at)
		}
		if a := all.pop(); a.at != at {
			t.Fatalf("popped %d, want %d", a.at, at)
		}
	}
	if _, ok := all.first(); ok {
		t.Error("there is one more alarm")
	}
}

func TestTurns(t *testing.T) {
	for _, turns := range []turns{{1, 1}, {1, 5}, {4, 1}, {2, 3}, {4, 6}, {6, 4}, {3, 3}} {
		type sender struct{ publisher, channel int }
		next := make(map[sender]int)
		for i := range 200 {
			s := sender{turns.publisher(i), turns.channel(i)}
			if got := turns.sequence(i); got != next[s] {
				t.Fatalf("%+v: message %d has the number %d, want %d", turns, i, got, next[s])
			}
			next[s]++
		}
	}
}

func TestHistogram(t *testing.T) {
	h := newHistogram()
	for ms := range 1000 {
		h.record(time.Duration(ms+1) * time.Millisecond)
	}
	h.record(-time.Second)
	h.record(time.Hour)
	sum := newHistogram()
	for range 2 {
		if err := sum.merge(h.encode()); err != nil {
			t.Fatal(err)
		}
	}
	l := sum.latency()
	if l.Count != 2004 || l.P50 < 495 || l.P50 > 505 || l.P99 < 985 || l.P99 > 995 || l.Max < 599_000 {
		t.Errorf("latency %+v", l)
	}
	for i := range l.Curve[1:] {
		if a, b := l.Curve[i], l.Curve[i+1]; b.MS < a.MS || b.Percent < a.Percent {
			t.Errorf("the curve falls from %+v to %+v", a, b)
		}
	}
	if err := sum.merge("no histogram"); err == nil {
		t.Error("anything can be added")
	}
	if taken := h.flush(); taken.TotalCount() != 1002 || h.TotalCount() != 0 {
		t.Errorf("taken %d, left %d", taken.TotalCount(), h.TotalCount())
	}
	if empty := h.flush(); empty.encode() != "" {
		t.Error("an empty histogram has a text")
	}
}

// The clock is one hour slow. A request to the coordinator takes one second, and
// its answer once takes less.
func TestClockOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := newClock(), newClock()
		theirs.set(time.Hour)
		exchanges := 0
		ask := func() (instant, error) {
			exchanges++
			time.Sleep(time.Second)
			at := theirs.now()
			if exchanges == 3 {
				time.Sleep(500 * time.Millisecond)
			} else {
				time.Sleep(5 * time.Second)
			}
			return at, nil
		}
		offset, err := ours.offset(ask)
		if err != nil || offset != time.Hour+250*time.Millisecond {
			t.Errorf("offset %v, %v", offset, err)
		}
		same, err := ours.offset(func() (instant, error) {
			time.Sleep(time.Second)
			return ours.now(), nil
		})
		if err != nil || same != 0 {
			t.Errorf("offset of the same clock %v, %v", same, err)
		}
		if _, err := ours.offset(func() (instant, error) { return 0, errOther }); !errors.Is(err, errOther) {
			t.Errorf("error %v", err)
		}
	})
}

func TestChoiceIsFair(t *testing.T) {
	const n = 10_000
	below := 0
	for i := range uint64(n) {
		if shareOf(choice(42, aboutChurn, 3, i)) < 0.1 {
			below++
		}
	}
	if below < n/10*9/10 || below > n/10*11/10 {
		t.Errorf("%d of %d choices are below 0.1", below, n)
	}
	if choice(1, 2, 3) == choice(2, 2, 3) || choice(1, 2, 3) == choice(1, 3, 2) {
		t.Error("a choice depends on more than the seed and its subject")
	}
}

var errOther = errors.New("other")

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
