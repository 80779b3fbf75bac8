package pubsub

import (
	"slices"
	"testing"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	var m memory
	m.add(ID{})
	m.add(idA(5))
	m.add(idB(7))
	m.add(idA(3)) // older
	for id, want := range map[ID]bool{
		idA(4): true, idA(5): true, idA(6): false,
		idB(7): true, idB(8): false,
		{MS: 1, Epoch: 0xc}: false, {MS: 1}: false,
	} {
		if m.has(id) != want {
			t.Errorf("has %v: %t", id, !want)
		}
	}
	for epoch := range Epoch(maxMemory) {
		m.add(ID{MS: 9, Epoch: 100 + epoch})
	}
	if m.has(idA(1)) || m.has(idB(1)) || !m.has(ID{MS: 9, Epoch: 100}) {
		t.Errorf("after %d more epochs: %v", maxMemory, m)
	}
}

// A logReader reads one log after the other, as primaries take over. It does not
// return a message again.
func TestLogReaderComesBack(t *testing.T) {
	t.Parallel()
	type log struct {
		epoch    Epoch
		messages []*Message
	}
	const genC Epoch = 0xc
	old := chain(idA(2), idA(3), idA(4), idA(5))
	for name, c := range map[string]struct {
		logs []log
		want []string
	}{
		"after an empty one": {
			[]log{{genB, nil}, {genC, old}},
			[]string{"restarted 3-11→0-0 at empty 1000000~0000a", "failover 0-0→3-11 at 3-11", "4-11", "5-11", "failover 5-11→5-11 at 5-11~0000c"},
		},
		"after an empty one, with nothing more": {
			[]log{{genB, nil}, {genC, old[:1]}},
			[]string{"restarted 3-11→0-0 at empty 1000000~0000a", "failover 0-0→3-11 at 3-11~0000c"},
		},
		"after one that went on elsewhere": {
			[]log{{genB, chain(idA(2), idB(6))}, {genC, old}},
			[]string{"rewound 3-11→2-11 at 2-11~0000a", "6-10", "rewound 6-10→3-11 at 3-11", "4-11", "5-11", "failover 5-11→5-11 at 5-11~0000c"},
		},
	} {
		for limit := 1; limit <= 4; limit++ {
			f := logReader{channel: "c", at: CursorAfter(idA(3))}
			var got []string
			for _, l := range c.logs {
				for done := false; !done; {
					var items []Item
					items, done = f.judgePage(answer(f.query(limit), l.epoch, l.messages), false)
					got = append(got, words(items)...)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, %d at a time:\n got %q\nwant %q", name, limit, got, c.want)
			}
		}
	}
}
