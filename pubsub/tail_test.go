package pubsub

import (
	"slices"
	"testing"
	"time"
)

func newTail(channel string, limits TailLimits) *tail {
	return &tail{limits: limits, follow: logReader{channel: channel}}
}

// grows does something to a tail, and reports whether the tail has grown by it
// and what it returned.
func grows(t *tail, do func() bool) (grown, result bool) {
	before, _ := t.end()
	result = do()
	after, _ := t.end()
	return after > before, result
}

// openTailAt is a tail that is live at the end of a log that ends at id.
func openTailAt(t *testing.T, id ID, limits TailLimits) *tail {
	t.Helper()
	tail := newTail("c", limits)
	tail.subscribed()
	tail.query(10)
	if again := tail.addPage(&Page{Epoch: genA, End: id}); again || tail.state != live {
		t.Fatalf("opening: again %t, state %d", again, tail.state)
	}
	return tail
}

func TestTailAppends(t *testing.T) {
	tail := openTailAt(t, idA(1), TailLimits{Messages: 10, Bytes: 1 << 20})
	for _, m := range chain(idA(1), idA(2), idA(3)) {
		if grown, read := grows(tail, func() bool { return tail.received(m) }); !grown || read {
			t.Errorf("%v: grown %t, read %t", m.ID, grown, read)
		}
	}
	items, ok := tail.from(tail.first, 10)
	if want := []string{"2-11", "3-11"}; !ok || !slices.Equal(words(items), want) {
		t.Errorf("got %q, %t, want %q", words(items), ok, want)
	}
}

func TestTailJudges(t *testing.T) {
	for _, c := range []struct {
		name        string
		message     *Message
		grown, read bool
	}{
		{"the next", chain(idA(5), idA(6))[0], true, false},
		{"the one it has", chain(idA(4), idA(5))[0], false, false},
		{"an old one", chain(idA(2), idA(3))[0], false, false},
		{"one after a hole", chain(idA(6), idA(7))[0], false, true},
		{"the first after an expiry, or a wipe", chain(ID{}, idA(7))[0], false, true},
		{"the next, of another epoch", chain(idA(5), idB(6))[0], false, true},
		{"an old one of another epoch", chain(idA(2), idB(3))[0], false, true},
	} {
		tail := openTailAt(t, idA(5), TailLimits{Messages: 10, Bytes: 1 << 20})
		if grown, read := grows(tail, func() bool { return tail.received(c.message) }); grown != c.grown || read != c.read {
			t.Errorf("%s: grown %t, read %t, want %t, %t", c.name, grown, read, c.grown, c.read)
		}
	}
}

// Ephemeral messages take part in a tail but are no place to resume from.
func TestTailEphemeral(t *testing.T) {
	tail := openTailAt(t, idA(5), TailLimits{Messages: 10, Bytes: 1 << 20})
	ephemeral := &Message{Channel: "c", Type: DefaultType}
	tail.received(ephemeral)
	tail.received(chain(idA(5), idA(6))[0])
	items, _ := tail.from(tail.first, 10)
	if len(items) != 2 || items[0].Message != ephemeral || items[0].After != CursorAfter(idA(5)) {
		t.Fatalf("got %+v", items)
	}
	if place, _, ok := tail.locate(CursorAfter(idA(5))); !ok || place != tail.first+1 {
		t.Errorf("its cursor is at %d, %t, want after the ephemeral message", place, ok)
	}
	unopened := newTail("c", TailLimits{Messages: 10, Bytes: 1 << 20})
	unopened.subscribed()
	if grown, read := grows(unopened, func() bool { return unopened.received(ephemeral) }); grown || read {
		t.Errorf("before it was opened: grown %t, read %t", grown, read)
	}
}

func TestTailLimits(t *testing.T) {
	item := Item{Message: chain(idA(1), idA(2))[0]}
	for _, c := range []struct {
		name   string
		limits TailLimits
		want   int
	}{
		{"messages", TailLimits{Messages: 3, Bytes: 1 << 20}, 3},
		{"bytes", TailLimits{Messages: 100, Bytes: 5*item.size() + 1}, 5},
		{"one at least", TailLimits{Messages: 100, Bytes: 1}, 1},
	} {
		tail := openTailAt(t, ID{}, c.limits)
		ids := make([]ID, 20)
		for i := range ids {
			ids[i] = idA(uint64(i + 1))
		}
		for _, m := range chain(ID{}, ids...) {
			tail.received(m)
		}
		tail.trim()
		oldest := len(ids) - c.want
		items, ok := tail.from(uint64(oldest), 100)
		if !ok || len(items) != c.want || items[0].Message.ID != ids[oldest] {
			t.Errorf("%s: %d items, %t, want %d", c.name, len(items), ok, c.want)
		}
		if _, ok := tail.from(uint64(oldest)-1, 100); ok {
			t.Errorf("%s: a place that has left the tail is still served", c.name)
		}
		if place, _, ok := tail.locate(CursorAfter(ids[oldest-1])); !ok || place != uint64(oldest) {
			t.Errorf("%s: the cursor before the oldest item is at %d, %t, want %d", c.name, place, ok, oldest)
		}
		if place, _, ok := tail.locate(CursorAfter(ids[oldest-2])); ok {
			t.Errorf("%s: a cursor that has left the tail is at %d", c.name, place)
		}
	}
}

// An expired log is no gap, unless a message that has arrived was in it.
func TestTailFindsItsLogEmpty(t *testing.T) {
	for _, c := range []struct {
		name  string
		holds *Message
		want  string
	}{
		{"it had everything", chain(idA(4), idA(5))[0], "expired at empty 1000000~0000b"},
		{"something was in it", chain(idA(5), idA(6))[0], "restarted 5-11→0-0 at empty 1000000~0000b"},
	} {
		tail := openTailAt(t, idA(5), TailLimits{Messages: 10, Bytes: 1 << 20})
		tail.startRead()
		tail.received(c.holds)
		tail.addPage(answer(tail.query(10), genA, nil))
		items, _ := tail.from(tail.first, 10)
		if !slices.Equal(words(items), []string{c.want}) {
			t.Errorf("%s: got %q, want %q", c.name, words(items), c.want)
		}
	}
}

// Another program relays a message of a time to come on an empty channel. After the
// log was read, Comet's own messages up to that time are taken.
func TestTailForgedAheadOfEmptyLog(t *testing.T) {
	tail := newTail("c", TailLimits{Messages: 10, Bytes: 1 << 20})
	tail.subscribed()
	tail.addPage(answer(tail.query(10), genA, nil))
	tail.received(chain(ID{}, ID{MS: 1_030_000, Epoch: genA})[0])
	tail.startRead()
	tail.addPage(answer(tail.query(10), genA, nil))
	tail.received(chain(ID{}, ID{MS: 1_010_000, Epoch: genA})[0])
	items, _ := tail.from(tail.first, 10)
	want := []string{"1030000-11", "expired at empty 1000000~0000b", "1010000-11"}
	if !slices.Equal(words(items), want) {
		t.Errorf("got %q, want %q", words(items), want)
	}
}

// The newest message before an empty log has an ID ahead of the clock, as where the
// clock was set back. A subscriber that saw the log empty later is located, and does
// not read it again and again.
func TestTailEmptyAfterIDAhead(t *testing.T) {
	tail := newTail("c", TailLimits{Messages: 10, Bytes: 1 << 20})
	tail.subscribed()
	p := answer(tail.query(10), genA, nil)
	p.PreviousEnd = ID{MS: p.Now + 30_000, Epoch: genA}
	tail.addPage(p)
	for now, want := range map[uint64]bool{p.Now: false, p.Now + 1: true} {
		if _, _, ok := tail.locate(Cursor{ID: startAt(now), Epoch: genA}); ok != want {
			t.Errorf("seen empty at %d: located %t", now, ok)
		}
	}
}

// Messages that arrive during a read are held, as many as a tail may hold; the
// others are read.
func TestTailOverflow(t *testing.T) {
	tail := openTailAt(t, idA(1), TailLimits{Messages: 2, Bytes: 1 << 20})
	if !tail.startRead() || tail.startRead() {
		t.Fatal("want one read to be asked for")
	}
	log := chain(idA(1), idA(2), idA(3), idA(4))
	q := tail.query(10)
	for _, m := range log {
		tail.received(m)
	}
	if grown, again := grows(tail, func() bool { return tail.addPage(answer(q, genA, nil)) }); !grown || !again {
		t.Errorf("first read: grown %t, again %t, want both", grown, again)
	}
	if grown, again := grows(tail, func() bool { return tail.addPage(answer(tail.query(10), genA, log)) }); !grown || again {
		t.Errorf("second read: grown %t, again %t, want only grown", grown, again)
	}
	if _, at := tail.end(); at != CursorAfter(idA(4)) || tail.state != live {
		t.Errorf("at %v in state %d", at, tail.state)
	}
}

func TestTailWaitsForItsRelay(t *testing.T) {
	tail := openTailAt(t, idA(1), TailLimits{Messages: 10, Bytes: 1 << 20})
	tail.disconnected(time.Now())
	next := chain(idA(1), idA(2))
	if grown, read := grows(tail, func() bool { return tail.received(next[0]) }); grown || read || tail.startRead() {
		t.Errorf("lost: grown %t, read %t", grown, read)
	}
	tail.subscribed()
	if grown, again := grows(tail, func() bool { return tail.addPage(answer(tail.query(10), genA, next)) }); !grown || again || tail.state != live {
		t.Errorf("subscribed again: grown %t, again %t, state %d", grown, again, tail.state)
	}
}
