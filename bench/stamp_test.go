package bench

import (
	"bytes"
	"math"
	"slices"
	"testing"
)

func TestStamps(t *testing.T) {
	one := stamp{run: 7, channel: 1, publisher: 2, sequence: 3, due: 1234567890}
	most := stamp{math.MaxUint32, 1<<24 - 1, 1<<16 - 1, math.MaxUint32, math.MaxInt64}
	first, second := string(one.append(nil, MinSize)), string(most.append(nil, 100))
	if len(first) != MinSize || len(second) != 100 {
		t.Errorf("sizes %d and %d, want %d and 100", len(first), len(second), MinSize)
	}
	for _, test := range []struct {
		text string
		want []stamp
	}{
		{"", nil},
		{"nothing to see", nil},
		{first, []stamp{one}},
		{`{"data":"` + second + `"},{"data":"` + first + `"}`, []stamp{most, one}},
		{first + first, []stamp{one, one}},
		{"stamp:" + first, []stamp{one}},
		{first[:MinSize-1], nil},
		{"stamp:0000000G" + first[14:], nil},
		{"stamp:0000000A" + first[14:], nil},
		{"stamp:00000007," + first[15:] + first, []stamp{one}},
	} {
		var got []stamp
		for text := []byte(test.text); ; {
			s, rest, ok := nextStamp(text)
			if !ok {
				break
			}
			got, text = append(got, s), rest
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("stamps of %q: %v, want %v", test.text, got, test.want)
		}
	}
}

func TestStampAllocatesNothing(t *testing.T) {
	text := (&stamp{run: 7}).append([]byte(`data: {"id":"1-0","data":"`), 100)
	if n := testing.AllocsPerRun(1000, func() {
		if _, _, ok := nextStamp(text); !ok {
			t.Error("no stamp")
		}
	}); n != 0 {
		t.Errorf("%v allocations a stamp", n)
	}
}

// What is read as a stamp is written the same.
func FuzzStamp(f *testing.F) {
	text := (&stamp{1, 2, 3, 4, 5}).append(nil, MinSize)
	f.Add(text)
	f.Add(append([]byte("stamp:"), text...))
	f.Add(bytes.ReplaceAll(text, []byte("0"), []byte("+")))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, rest, ok := nextStamp(text)
		if !ok {
			return
		}
		at := len(text) - len(rest) - MinSize
		if got := s.append(nil, MinSize); !bytes.Equal(got, text[at:at+MinSize]) {
			t.Errorf("read %q, wrote %q", text[at:at+MinSize], got)
		}
	})
}
