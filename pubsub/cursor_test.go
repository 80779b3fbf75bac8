package pubsub

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseCursor(t *testing.T) {
	for _, c := range []struct {
		text string
		want Cursor
	}{
		{"0-0", Cursor{}},
		{"5-3145771", CursorAfter(ID{5, 3, 43})},
		{"5-3145771~0002c", Cursor{ID{5, 3, 43}, 44}},
		{"0-0~00001", Cursor{Epoch: 1}},
		{"5-3145771~fffff", Cursor{ID{5, 3, 43}, MaxEpoch}},
	} {
		got, err := ParseCursor(c.text)
		if err != nil || got != c.want {
			t.Errorf("ParseCursor(%q) = %+v, %v, want %+v", c.text, got, err, c.want)
		}
		if c.want.String() != c.text {
			t.Errorf("%+v is %q, want %q", c.want, c.want, c.text)
		}
	}
}

var badCursors = []string{
	"", "~", "0", "earliest", "1-1~", "1-1~2", "1-1~000002", "1-1~0000g", "1-1~0000A",
	"1-1~00001",       // its own epoch needs no mark
	"1-1~00000",       // no epoch
	"1-1~00002~00003", // two
	"~00002", "01-1", " 1-1", "1-1 ",
}

func TestParseCursorRefuses(t *testing.T) {
	for _, text := range badCursors {
		if c, err := ParseCursor(text); !errors.Is(err, ErrBadCursor) || c != (Cursor{}) {
			t.Errorf("ParseCursor(%q) = %v, %v, want ErrBadCursor", text, c, err)
		}
	}
}

func FuzzParseCursor(f *testing.F) {
	for _, text := range append([]string{"0-0", "5-3145771", "5-3145771~0002c"}, badCursors...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseCursor(text); err == nil && c.String() != text {
			t.Errorf("%q is read as %+v, which is written %q", text, c, c)
		}
	})
}

// someCursors are cursors for n channels, every third one marked.
func someCursors(n int) ([]string, []Cursor) {
	channels, at := make([]string, n), make([]Cursor, n)
	for i := range n {
		channels[i] = fmt.Sprintf("channel-%03d", i)
		at[i] = CursorAfter(ID{MaxMS - uint64(i), uint16(i), Epoch(i + 1)})
		if i%3 == 1 {
			at[i].Epoch = MaxEpoch
		}
	}
	return channels, at
}

func TestCursorSet(t *testing.T) {
	for _, n := range []int{1, 2, 3, 64, MaxCursorChannels} {
		channels, at := someCursors(n)
		text := NewCursorSet(channels, at).String()
		got, err := ParseCursorSet(channels, text)
		if err != nil || !slices.Equal(got, at) {
			t.Errorf("%d channels: came back as %v, %v", n, got, err)
		}
	}
}

func TestCursorSetIsSmall(t *testing.T) {
	for n := 2; n <= MaxCursorChannels; n++ {
		channels, at := someCursors(n)
		marks := 0
		for _, c := range at {
			if c.Epoch != c.ID.Epoch {
				marks++
			}
		}
		text := NewCursorSet(channels, at).String()
		if limit := 4 + 12*n + (16*marks+2)/3; len(text) > limit {
			t.Errorf("%d channels, %d marks: %d bytes, want at most %d", n, marks, len(text), limit)
		}
	}
}

func TestCursorSetMoves(t *testing.T) {
	channels, at := someCursors(3)
	s := NewCursorSet(channels, at)
	moved := Cursor{ID{7, 8, 9}, 10}
	s.Set(1, moved)
	got, err := ParseCursorSet(channels, string(s.Append(nil)))
	if want := []Cursor{at[0], moved, at[2]}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if at[1] == moved {
		t.Error("Set changed the slice that NewCursorSet was given")
	}
}

func TestParseCursorSetRefuses(t *testing.T) {
	channels, at := someCursors(3) // the second is marked
	text := NewCursorSet(channels, at).String()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	const mark = fingerprintLen + 3*packedLen
	// with is raw with its end, starting at i, replaced.
	with := func(i int, tail ...byte) string {
		return base64.RawURLEncoding.EncodeToString(append(slices.Clone(raw[:i]), tail...))
	}
	for _, c := range []struct {
		name, text string
		channels   []string
	}{
		{"empty", "", channels},
		{"one channel's", "5-3145771", channels},
		{"not base64url", strings.Repeat("+", len(text)), channels},
		{"padded", text + "=", channels},
		{"a line break in it", text[:8] + "\n" + text[8:], channels},
		{"cut", text[:len(text)-4], channels},
		{"too long", text + "AAAA", channels},
		{"of fewer channels", text, channels[:2]},
		{"of other channels", text, []string{"channel-000", "channel-001", "channel-003"}},
		{"of more channels", text, append(slices.Clone(channels), "d")},
		{"of several for one", text, channels[:1]},
		{"marks a channel that is not there", with(mark, 3, 0, 0, 9), channels},
		{"marks no epoch", with(mark, 1, 0, 0, 0), channels},
		{"marks its own epoch", with(mark, 1, 0, 0, 2), channels},
		{"marks what is no epoch", with(mark, 1, 0x10, 0, 0), channels},
		{"marks twice", with(mark, 1, 0, 0, 9, 1, 0, 0, 9), channels},
		{"marks out of order", with(mark, 2, 0, 0, 9, 1, 0, 0, 9), channels},
		{"half a mark", with(mark, 1, 0), channels},
	} {
		if got, err := ParseCursorSet(c.channels, c.text); !errors.Is(err, ErrBadCursor) {
			t.Errorf("%s: got %v, %v, want ErrBadCursor", c.name, got, err)
		}
	}
}

// One place has one spelling: what can be read is written the same.
func FuzzParseCursorSet(f *testing.F) {
	for n := range 4 {
		channels, at := someCursors(n + 1)
		f.Add(n, NewCursorSet(channels, at).String())
	}
	for _, text := range badCursors {
		f.Add(0, text)
		f.Add(1, text)
	}
	f.Fuzz(func(t *testing.T, n int, text string) {
		channels, _ := someCursors(1 + n&7)
		at, err := ParseCursorSet(channels, text)
		if err != nil {
			if !errors.Is(err, ErrBadCursor) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if again := NewCursorSet(channels, at).String(); again != text {
			t.Errorf("%q is read as %v, which is written %q", text, at, again)
		}
	})
}
