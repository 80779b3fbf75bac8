package bench

import (
	"math/rand/v2"
	"testing"
)

func TestTracker(t *testing.T) {
	const messages = 70
	for _, test := range []struct {
		name                         string
		came                         []uint32 // of publisher 0
		got, missing                 int64
		repeated, outOfOrder, inHole uint32
	}{
		{"all in order", []uint32{0, 1, 2}, 3, messages - 3, 0, 0, 0},
		{"a hole is no disorder", []uint32{0, 2, 3}, 3, messages - 3, 0, 0, 1},
		{"late", []uint32{0, 2, 1, 3}, 4, messages - 4, 0, 1, 0},
		{"again", []uint32{0, 1, 0, 1, 2}, 3, messages - 3, 2, 0, 0},
		{"a late one again", []uint32{2, 1, 1, 0}, 3, messages - 3, 1, 2, 0},
		{"the middle of a hole", []uint32{9, 4}, 2, messages - 2, 0, 1, 8},
		{"the ends of a hole", []uint32{9, 0, 8}, 3, messages - 3, 0, 2, 7},
		{"beyond the end", []uint32{messages + 5}, 1, messages, 0, 0, messages + 5},
	} {
		l := tracker{next: make([]uint32, 1)}
		holes := int64(0)
		for _, sequence := range test.came {
			_, missing := l.record(0, sequence)
			holes += missing
		}
		missing := l.missing([]uint32{messages})
		if l.got != test.got || l.repeated != test.repeated || l.outOfOrder != test.outOfOrder || missing != test.missing || holes != int64(test.inHole) {
			t.Errorf("%s: %d got, %d repeated, %d out of order, %d missing, %d in holes; want %+v", test.name,
				l.got, l.repeated, l.outOfOrder, missing, holes, test)
		}
	}
}

// naive is a tracker that remembers everything.
type naive struct {
	seen                 map[[2]uint32]bool
	newest               map[uint32]uint32 // and one more
	got                  int64
	repeated, outOfOrder uint32
}

func (n *naive) enter(publisher, sequence uint32) bool {
	key := [2]uint32{publisher, sequence}
	if n.seen[key] {
		n.repeated++
		return false
	}
	n.seen[key] = true
	n.got++
	if sequence+1 < n.newest[publisher] {
		n.outOfOrder++
	}
	n.newest[publisher] = max(n.newest[publisher], sequence+1)
	return true
}

// inHoles returns the number of messages below the newest that are missing.
func (n *naive) inHoles() (holes int64) {
	for publisher, newest := range n.newest {
		for sequence := range newest {
			if !n.seen[[2]uint32{publisher, sequence}] {
				holes++
			}
		}
	}
	return holes
}

func TestTrackerAgainstNaive(t *testing.T) {
	const publishers, messages = 3, 30
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 0))
		l := tracker{next: make([]uint32, publishers)}
		n := naive{seen: make(map[[2]uint32]bool), newest: make(map[uint32]uint32)}
		holes := int64(0)
		for range random.IntN(200) {
			publisher, sequence := random.Uint32N(publishers), random.Uint32N(messages)
			first, missing := l.record(publisher, sequence)
			holes += missing
			if first != n.enter(publisher, sequence) {
				t.Fatalf("seed %d: first %v of %d, %d", seed, first, publisher, sequence)
			}
			if !l.has(publisher, sequence) {
				t.Fatalf("seed %d: %d, %d is not there", seed, publisher, sequence)
			}
		}
		missing := l.missing([]uint32{messages, messages, messages})
		if l.got != n.got || l.repeated != n.repeated || l.outOfOrder != n.outOfOrder || holes != n.inHoles() || missing != publishers*messages-n.got {
			t.Fatalf("seed %d: %+v, %d missing, %d in holes; want %+v", seed, l, missing, holes, n)
		}
	}
}

func TestTrackerOrder(t *testing.T) {
	order := func(came ...[2]uint32) uint64 {
		l := tracker{next: make([]uint32, 2)}
		for _, m := range came {
			l.record(m[0], m[1])
		}
		return l.order
	}
	a, b, c := [2]uint32{0, 0}, [2]uint32{0, 1}, [2]uint32{1, 0}
	if order(a, b, c) != order(a, b, b, c) {
		t.Error("a repeat changes the order")
	}
	if order(a, b, c) == order(a, c, b) || order(a, b, c) == order(b, a, c) {
		t.Error("two orders look alike")
	}
}

func TestTrackerAllocatesNothing(t *testing.T) {
	l := tracker{next: make([]uint32, 1)}
	sequence := uint32(0)
	if n := testing.AllocsPerRun(1000, func() {
		l.record(0, sequence)
		sequence++
	}); n != 0 {
		t.Errorf("%v allocations per message", n)
	}
}
