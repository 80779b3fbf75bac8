package pubsub

import (
	"errors"
	"testing"
	"time"
)

func TestParseID(t *testing.T) {
	for _, c := range []struct {
		text string
		want ID
	}{
		{"0-0", ID{}},
		{"1-1", ID{MS: 1, Epoch: 1}},
		{"0-1", ID{Epoch: 1}},
		{"1700000000000-1048575", ID{MS: 1700000000000, Epoch: MaxEpoch}},
		{"1700000000000-1048576", ID{MS: 1700000000000, Counter: 1}},
		{"1700000000000-3145771", ID{MS: 1700000000000, Counter: 3, Epoch: 43}},
		{"4398046511103-1073741823", ID{MS: MaxMS, Counter: MaxCounter, Epoch: MaxEpoch}},
	} {
		got, err := ParseID(c.text)
		if err != nil || got != c.want {
			t.Errorf("ParseID(%q) = %+v, %v, want %+v", c.text, got, err, c.want)
		}
		if c.want.String() != c.text {
			t.Errorf("%+v is %q, want %q", c.want, c.want, c.text)
		}
	}
}

func TestParseIDRefuses(t *testing.T) {
	for _, text := range badIDs {
		if id, err := ParseID(text); !errors.Is(err, ErrBadID) || id != (ID{}) {
			t.Errorf("ParseID(%q) = %v, %v, want ErrBadID", text, id, err)
		}
	}
}

var badIDs = []string{
	"", "-", "1", "1-", "-1", "1-1-1", " 1-1", "1-1 ", "1_1", "a-1", "1-a", "0x1-1", "1_0-1",
	"+1-1", "1-+1", "-1-1", "1--1", "01-1", "1-01", "00-0", "0-00",
	"4398046511104-0", "0-1073741824", "18446744073709551616-0", "1-18446744073709551616",
}

func FuzzParseID(f *testing.F) {
	for _, text := range append([]string{"0-0", "1700000000000-3145771", "4398046511103-1073741823"}, badIDs...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseID(text)
		if err != nil {
			return
		}
		if id.String() != text {
			t.Errorf("%q is read as %+v, which is written %q", text, id, id)
		}
		if id.MS > MaxMS || id.Counter > MaxCounter || id.Epoch > MaxEpoch {
			t.Errorf("%q is read as %+v, out of range", text, id)
		}
	})
}

func TestParseEpoch(t *testing.T) {
	for _, g := range []Epoch{1, 0xabc, 0x12345, MaxEpoch} {
		if got, err := ParseEpoch(g.String()); err != nil || got != g {
			t.Errorf("%v came back as %v, %v", g, got, err)
		}
	}
	for _, text := range []string{"", "1", "1234", "123456", "1234g", "+1234", "-1234", "0x123"} {
		if g, err := ParseEpoch(text); err == nil {
			t.Errorf("ParseEpoch(%q) = %v, want an error", text, g)
		}
	}
}

// IDs are in the order in which Redis has them: by their two numbers.
func TestCompareIDs(t *testing.T) {
	ordered := []ID{
		{}, {Epoch: 1}, {Counter: 1}, {MS: 1}, {MS: 1, Epoch: 7}, {MS: 1, Epoch: 8},
		{MS: 1, Counter: 1, Epoch: 2}, {MS: 1, Counter: 2}, {MS: 2}, {MS: MaxMS, Counter: MaxCounter, Epoch: MaxEpoch},
	}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := a.Compare(b), min(1, max(-1, i-j)); got != want {
				t.Errorf("%v compared with %v: %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestNextID(t *testing.T) {
	const epoch = 9
	for _, c := range []struct {
		name string
		last ID
		now  uint64
		want ID
	}{
		{"the first", ID{}, 100, ID{100, 0, epoch}},
		{"clock went on", ID{100, 5, epoch}, 101, ID{101, 0, epoch}},
		{"same millisecond", ID{100, 5, epoch}, 100, ID{100, 6, epoch}},
		{"clock went back", ID{100, 5, 77}, 90, ID{100, 6, epoch}},
		{"full millisecond", ID{100, MaxCounter, epoch}, 100, ID{101, 0, epoch}},
		{"full millisecond, late clock", ID{100, MaxCounter, 77}, 90, ID{101, 0, epoch}},
		{"no clock at all", ID{}, 0, ID{0, 1, epoch}},
	} {
		if got := NextID(c.last, c.now, epoch); got != c.want {
			t.Errorf("%s: NextID(%v, %d) = %+v, want %+v", c.name, c.last, c.now, got, c.want)
		}
	}
}

// IDs grow and say their epoch even if the clock steps.
func FuzzNextID(f *testing.F) {
	f.Add(uint64(100), uint16(MaxCounter), uint32(1), uint64(100), uint32(2))
	f.Add(uint64(0), uint16(0), uint32(0), uint64(0), uint32(1))
	f.Fuzz(func(t *testing.T, ms uint64, counter uint16, lastGen uint32, now uint64, epoch uint32) {
		last := ID{ms % MaxMS, counter & MaxCounter, Epoch(lastGen) & MaxEpoch}
		g := Epoch(epoch) & MaxEpoch
		id := NextID(last, now%MaxMS, g)
		if id.Compare(last) <= 0 || id.Epoch != g {
			t.Errorf("NextID(%v, %d, %v) = %v", last, now%MaxMS, g, id)
		}
		if got, err := ParseID(id.String()); err != nil || got != id {
			t.Errorf("%+v came back as %+v, %v", id, got, err)
		}
	})
}

func TestIDTime(t *testing.T) {
	want := time.Date(2023, 11, 14, 22, 13, 20, 5e6, time.UTC)
	if got := (ID{MS: 1700000000005}).Time(); !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("got %v, want %v", got, want)
	}
}
