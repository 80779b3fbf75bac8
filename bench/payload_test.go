package bench

import (
	"bytes"
	"math"
	"slices"
	"testing"
)

func TestPayloadHeaders(t *testing.T) {
	one := payloadHeader{run: 7, channel: 1, publisher: 2, sequence: 3, due: 1234567890}
	most := payloadHeader{math.MaxUint32, 1<<24 - 1, 1<<16 - 1, math.MaxUint32, math.MaxInt64}
	first, second := string(one.append(nil, MinSize)), string(most.append(nil, 100))
	if len(first) != MinSize || len(second) != 100 {
		t.Errorf("sizes %d and %d, want %d and 100", len(first), len(second), MinSize)
	}
	for _, test := range []struct {
		text string
		want []payloadHeader
	}{
		{"", nil},
		{"nothing to see", nil},
		{first, []payloadHeader{one}},
		{`{"data":"` + second + `"},{"data":"` + first + `"}`, []payloadHeader{most, one}},
		{first + first, []payloadHeader{one, one}},
		{"stamp:" + first, []payloadHeader{one}},
		{first[:MinSize-1], nil},
		{"stamp:0000000G" + first[14:], nil},
		{"stamp:0000000A" + first[14:], nil},
		{"stamp:00000007," + first[15:] + first, []payloadHeader{one}},
	} {
		var got []payloadHeader
		for text := []byte(test.text); ; {
			s, rest, ok := nextPayloadHeader(text)
			if !ok {
				break
			}
			got, text = append(got, s), rest
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("headers of %q: %v, want %v", test.text, got, test.want)
		}
	}
}

func TestPayloadHeaderAllocatesNothing(t *testing.T) {
	text := (&payloadHeader{run: 7}).append([]byte(`data: {"id":"1-0","data":"`), 100)
	if n := testing.AllocsPerRun(1000, func() {
		if _, _, ok := nextPayloadHeader(text); !ok {
			t.Error("no header")
		}
	}); n != 0 {
		t.Errorf("%v allocations per header", n)
	}
}

// A parsed header is written the same.
func FuzzPayloadHeader(f *testing.F) {
	text := (&payloadHeader{1, 2, 3, 4, 5}).append(nil, MinSize)
	f.Add(text)
	f.Add(append([]byte("stamp:"), text...))
	f.Add(bytes.ReplaceAll(text, []byte("0"), []byte("+")))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, rest, ok := nextPayloadHeader(text)
		if !ok {
			return
		}
		at := len(text) - len(rest) - MinSize
		if got := s.append(nil, MinSize); !bytes.Equal(got, text[at:at+MinSize]) {
			t.Errorf("read %q, wrote %q", text[at:at+MinSize], got)
		}
	})
}
