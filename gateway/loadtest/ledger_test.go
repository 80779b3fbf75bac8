package loadtest

import "testing"

func TestLedger(t *testing.T) {
	const messages = 70 // more than a word of bits
	for _, test := range []struct {
		name                               string
		publishers                         int
		came                               []int
		got, repeated, disordered, unknown int
	}{
		{"all in order", 1, []int{0, 1, 2, 69}, 4, 0, 0, 0},
		{"a hole is no disorder", 1, []int{0, 2, 3}, 3, 0, 0, 0},
		{"late", 1, []int{0, 2, 1, 3}, 4, 0, 1, 0},
		{"again", 1, []int{0, 1, 0, 1, 2}, 3, 2, 0, 0},
		{"of two publishers in either order", 2, []int{1, 0, 3, 2}, 4, 0, 0, 0},
		{"late among one publisher's", 2, []int{0, 3, 1, 2}, 4, 0, 1, 0},
		{"never published", 1, []int{0, 70, 1 << 30}, 1, 0, 0, 2},
	} {
		l := newLedger(messages, test.publishers)
		for _, index := range test.came {
			l.enter(index, messages)
		}
		if l.got != test.got || l.repeated != test.repeated || l.disordered != test.disordered || l.unknown != test.unknown {
			t.Errorf("%s: %d got, %d repeated, %d disordered, %d unknown; want %d, %d, %d, %d", test.name,
				l.got, l.repeated, l.disordered, l.unknown, test.got, test.repeated, test.disordered, test.unknown)
		}
	}
}

func TestLedgerOrder(t *testing.T) {
	order := func(indexes ...int) uint64 {
		l := newLedger(4, 1)
		for _, index := range indexes {
			l.enter(index, 4)
		}
		return l.order
	}
	if order(0, 1, 2, 3) != order(0, 1, 1, 2, 3) {
		t.Error("a repeat changes the order")
	}
	if order(0, 1, 2, 3) == order(0, 2, 1, 3) || order(0, 1, 2, 3) == order(3, 2, 1, 0) {
		t.Error("two orders look alike")
	}
}
