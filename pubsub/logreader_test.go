package pubsub

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Two epochs, in whose order the IDs say nothing.
const (
	genA Epoch = 0xb
	genB Epoch = 0xa
)

func idA(ms uint64) ID { return ID{MS: ms, Epoch: genA} }
func idB(ms uint64) ID { return ID{MS: ms, Epoch: genB} }

// chain is the messages ids. The first one follows prev.
func chain(prev ID, ids ...ID) []*Message {
	messages := make([]*Message, len(ids))
	for i, id := range ids {
		messages[i] = &Message{Channel: "c", Type: DefaultType, Data: []byte("1"), ID: id, Prev: prev}
		prev = id
	}
	return messages
}

// answer is what a log of messages, under a primary of epoch epoch, answers.
func answer(q Query, epoch Epoch, log []*Message) *Page {
	p := &Page{Epoch: epoch, Now: 1_000_000, TTL: 10 * time.Minute}
	if len(log) > 0 {
		p.End = log[len(log)-1].ID
	}
	if q.Backward {
		log = slices.Clone(log)
		slices.Reverse(log)
	}
	for _, m := range log {
		side := m.ID.Compare(q.Cursor)
		if q.Backward {
			side = -side
		}
		if len(p.Messages) < q.Limit && (side > 0 || q.Backward && q.Cursor.IsZero()) {
			p.Messages = append(p.Messages, m)
		}
	}
	p.More = len(p.Messages) == q.Limit
	return p
}

// words writes items down: a message is its ID, a gap its reason and ends, and
// a place in another epoch than its ID's has a ~.
func words(items []Item) []string {
	var list []string
	for _, it := range items {
		switch {
		case it.Gap != nil:
			list = append(list, fmt.Sprintf("%s %v→%v at %s", it.Gap.Reason, it.Gap.From, it.Gap.To, where(it.After)))
		case it.Message != nil:
			list = append(list, it.Message.ID.String())
		default:
			list = append(list, "expired at "+where(it.After))
		}
	}
	return list
}

// where writes a cursor down; the start of an empty log is the ms at which it was
// seen empty.
func where(c Cursor) string {
	if c.ID.isStart() {
		return fmt.Sprintf("empty %d~%v", c.ID.emptyAt(), c.Epoch)
	}
	return c.String()
}

// The end of an expired log, while it is known, says what readers missed.
func TestLogReaderAfterExpiry(t *testing.T) {
	ms := func(ms uint64) ID { return ID{MS: ms, Epoch: genA} }
	for _, c := range []struct {
		name string
		at   Cursor
		past ID
		log  []*Message
		want []string
	}{
		{name: "it had the last message", at: CursorAfter(ms(100_000)), past: ms(100_000), want: []string{"expired at empty 1000000~0000b"}},
		{name: "it lacks the last message", at: CursorAfter(ms(99_999)), past: ms(100_000), want: []string{"restarted 99999-11→0-0 at empty 1000000~0000b"}},
		{name: "it was empty afterwards, long ago", at: Cursor{startAt(100_001), genA}, past: ms(100_000)},
		{name: "it was empty before", at: Cursor{startAt(100_000), genA}, past: ms(100_000), want: []string{"restarted 0-0→0-0 at empty 1000000~0000b"}},
		{name: "the next message, it was empty afterwards", at: Cursor{startAt(100_001), genA}, log: chain(ms(100_000), ms(900_000)), want: []string{"900000-11"}},
		{name: "the next message, it had the last one", at: CursorAfter(ms(100_000)), log: chain(ms(100_000), ms(900_000)), want: []string{"900000-11"}},
		{
			name: "the next message, it was empty before", at: Cursor{startAt(100_000), genA}, log: chain(ms(100_000), ms(900_000)),
			want: []string{"restarted 0-0→100000-11 at 100000-11", "900000-11"},
		},
		{
			name: "the next message, it lacks the last one", at: CursorAfter(ms(99_999)), log: chain(ms(100_000), ms(900_000)),
			want: []string{"restarted 99999-11→100000-11 at 100000-11", "900000-11"},
		},
		{name: "the next message is its first", log: chain(ms(100_000), ms(900_000)), want: []string{"900000-11"}},
	} {
		f := logReader{channel: "a", at: c.at}
		p := answer(f.query(10), genA, c.log)
		p.PreviousEnd = c.past
		if items, _ := f.judgePage(p, false); !slices.Equal(words(items), c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, words(items), c.want)
		}
	}
}

func TestLogReader(t *testing.T) {
	for _, c := range []struct {
		name     string
		at       Cursor
		unbroken bool
		epoch    Epoch
		log      []*Message
		want     []string
	}{
		{
			name: "nothing new", at: CursorAfter(idA(5)), epoch: genA, log: chain(idA(4), idA(5)),
		},
		{
			name: "the next ones", at: CursorAfter(idA(5)), epoch: genA, log: chain(idA(4), idA(5), idA(6), idA(7)),
			want: []string{"6-11", "7-11"},
		},
		{
			name: "the first ones", at: Cursor{startAt(5), genA}, epoch: genA, log: chain(ID{}, idA(6), idA(7)),
			want: []string{"6-11", "7-11"},
		},
		{
			name: "its message trimmed, and nothing else", at: CursorAfter(idA(5)), epoch: genA, log: chain(idA(5), idA(6)),
			want: []string{"6-11"},
		},
		{
			name: "trimmed", at: CursorAfter(idA(5)), epoch: genA, log: chain(idA(8), idA(9)),
			want: []string{"trimmed 5-11→8-11 at 8-11", "9-11"},
		},
		{
			name: "trimmed before it began", at: Cursor{Epoch: genA}, epoch: genA, log: chain(idA(8), idA(9)),
			want: []string{"trimmed 0-0→8-11 at 8-11", "9-11"},
		},
		{
			name: "wiped", at: CursorAfter(idA(5)), epoch: genA,
			want: []string{"restarted 5-11→0-0 at empty 1000000~0000b"},
		},
		{
			name: "wiped, and begun again", at: CursorAfter(idA(5)), epoch: genA, log: chain(ID{}, idA(9)),
			want: []string{"restarted 5-11→0-0 at empty 9~0000b", "9-11"},
		},
		{
			name: "expired", at: CursorAfter(idA(5)), unbroken: true, epoch: genA,
			want: []string{"expired at empty 1000000~0000b"},
		},
		{
			name: "expired, and begun again", at: CursorAfter(idA(5)), unbroken: true, epoch: genA, log: chain(ID{}, idA(600_009)),
			want: []string{"600009-11"},
		},
		{
			name: "wiped, and begun again, while the relay did not break", at: CursorAfter(idA(5)), unbroken: true, epoch: genA, log: chain(ID{}, idA(9)),
			want: []string{"restarted 5-11→0-0 at empty 9~0000b", "9-11"},
		},
		{
			name: "wiped while the relay did not break", at: CursorAfter(idA(999_000)), unbroken: true, epoch: genA,
			want: []string{"restarted 999000-11→0-0 at empty 1000000~0000b"},
		},
		{
			name: "expired under a new primary", at: CursorAfter(idA(5)), unbroken: true, epoch: genB,
			want: []string{"restarted 5-11→0-0 at empty 1000000~0000a"},
		},
		{
			name: "still empty", at: Cursor{startAt(400_001), genA}, epoch: genA,
		},
		{
			name: "empty for as long as a log is kept", at: Cursor{startAt(400_000), genA}, epoch: genA,
			want: []string{"restarted 0-0→0-0 at empty 1000000~0000b"},
		},
		{
			name: "empty all the time, however long", at: Cursor{startAt(5), genA}, unbroken: true, epoch: genA,
		},
		{
			name: "empty until the first one", at: Cursor{startAt(5), genA}, epoch: genA, log: chain(ID{}, idA(600_004)),
			want: []string{"600004-11"},
		},
		{
			name: "a log of before the first one would be gone", at: Cursor{startAt(5), genA}, epoch: genA, log: chain(ID{}, idA(600_005)),
			want: []string{"restarted 0-0→0-0 at empty 600005~0000b", "600005-11"},
		},
		{
			name: "the first one after a long time", at: Cursor{startAt(5), genA}, unbroken: true, epoch: genA, log: chain(ID{}, idA(600_005)),
			want: []string{"600005-11"},
		},
		{
			name: "empty, at an unknown time", at: Cursor{Epoch: genA}, epoch: genA, log: chain(ID{}, idA(9)),
			want: []string{"restarted 0-0→0-0 at empty 9~0000b", "9-11"},
		},
		{
			name: "still empty, since an unknown time", at: Cursor{Epoch: genA}, epoch: genA,
			want: []string{"restarted 0-0→0-0 at empty 1000000~0000b"},
		},
		{
			name: "the very first ones", epoch: genA, log: chain(ID{}, idA(9)),
			want: []string{"9-11"},
		},
		{
			name: "the very first ones, and nothing is there", epoch: genA,
		},
		{
			name: "empty under a new primary", at: Cursor{startAt(999_999), genA}, epoch: genB,
			want: []string{"failover 0-0→0-0 at empty 1000000~0000a"},
		},
		{
			name: "empty under a new primary whose clock is behind", at: Cursor{startAt(50), genA}, epoch: genB, log: chain(ID{}, idB(40)),
			want: []string{"failover 0-0→0-0 at empty 40~0000a", "40-10"},
		},
		{
			name: "empty for longer under a new primary", at: Cursor{startAt(401_000), genA}, epoch: genB,
			want: []string{"restarted 0-0→0-0 at empty 1000000~0000a"},
		},
		{
			name: "new primary, nothing new", at: CursorAfter(idA(5)), unbroken: true, epoch: genB, log: chain(idA(4), idA(5)),
			want: []string{"failover 5-11→5-11 at 5-11~0000a"},
		},
		{
			name: "new primary, after its gap", at: Cursor{idA(5), genB}, epoch: genB, log: chain(idA(4), idA(5), idB(6)),
			want: []string{"6-10"},
		},
		{
			name: "new primary, between the messages", at: CursorAfter(idA(4)), epoch: genB, log: chain(idA(4), idA(5), idB(6), idB(7)),
			want: []string{"5-11", "failover 5-11→5-11 at 5-11~0000a", "6-10", "7-10"},
		},
		{
			name: "no epoch known", at: Cursor{ID: idA(5)}, epoch: genB, log: chain(idA(4), idA(5), idB(6)),
			want: []string{"6-10"},
		},
		{
			name: "taken back", at: CursorAfter(idA(5)), epoch: genB, log: chain(idA(2), idA(3)),
			want: []string{"rewound 5-11→3-11 at 3-11~0000a"},
		},
		{
			name: "taken back, and gone on after it", at: CursorAfter(idA(5)), epoch: genB, log: chain(idA(2), idA(3), idB(6), idB(7)),
			want: []string{"rewound 5-11→3-11 at 3-11~0000a", "6-10", "7-10"},
		},
		{
			name: "taken back, and gone on before it", at: CursorAfter(idA(9)), epoch: genB, log: chain(idA(2), idA(3), idB(6), idB(7)),
			want: []string{"rewound 9-11→3-11 at 3-11~0000a", "6-10", "7-10"},
		},
		{
			name: "taken back, and gone on around it", at: CursorAfter(idA(5)), epoch: genB, log: chain(idA(2), idA(3), idB(4), idB(6)),
			want: []string{"rewound 5-11→3-11 at 3-11~0000a", "4-10", "6-10"},
		},
		{
			name: "taken back, and trimmed", at: CursorAfter(idA(9)), epoch: genB, log: chain(idB(5), idB(6), idB(7)),
			want: []string{"rewound 9-11→5-10 at 5-10", "6-10", "7-10"},
		},
		{
			name: "all taken back", at: CursorAfter(idA(9)), epoch: genB, log: chain(ID{}, idB(6)),
			want: []string{"restarted 9-11→0-0 at empty 6~0000a", "6-10"},
		},
		{
			name: "taken back all that a primary took", at: CursorAfter(ID{MS: 9, Epoch: 0xc}), epoch: genB, log: chain(idA(2), idA(3)),
			want: []string{"rewound 9-12→3-11 at 3-11~0000a"},
		},
	} {
		for limit := 1; limit <= 4; limit++ {
			f := logReader{channel: "c", at: c.at}
			var got []string
			for done := false; !done; {
				var items []Item
				items, done = f.judgePage(answer(f.query(limit), c.epoch, c.log), c.unbroken)
				got = append(got, words(items)...)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, %d at a time:\n got %q\nwant %q", c.name, limit, got, c.want)
			}
			if f.at.Epoch != c.epoch || f.at.ID.IsZero() {
				t.Errorf("%s, %d at a time: ends at %v, not in epoch %v", c.name, limit, f.at, c.epoch)
			}
		}
	}
}

// An entry that is no message is a gap, which keeps the epoch that was
// followed: the next message still shows a failover.
func TestLogReaderUnreadable(t *testing.T) {
	for _, c := range []struct {
		next ID
		want []string
	}{
		{idA(3), []string{"unreadable 1-11→2-0 at 2-0~0000b", "3-11"}},
		{idB(3), []string{"unreadable 1-11→2-0 at 2-0~0000b", "failover 2-0→2-0 at 2-0~0000a", "3-10"}},
	} {
		log := chain(ID{}, idA(1), ID{MS: 2}, c.next)
		log[1] = NewUnreadable("c", log[1].ID)
		f := logReader{channel: "c", at: CursorAfter(idA(1))}
		items, done := f.judgePage(answer(f.query(10), c.next.Epoch, log), true)
		if !done || !slices.Equal(words(items), c.want) {
			t.Errorf("got %q, done %t, want %q", words(items), done, c.want)
		}
	}
}
