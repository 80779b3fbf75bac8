package loadtest

import (
	"bytes"
	"slices"
	"testing"
)

func TestStamps(t *testing.T) {
	first := string(stamp{7, 1234567890}.append(nil, MinSize))
	second := string(stamp{2147483647, 9223372036854775807}.append(nil, 100))
	if len(first) != MinSize || len(second) != 100 {
		t.Errorf("sizes %d and %d, want %d and 100", len(first), len(second), MinSize)
	}
	for _, test := range []struct {
		text string
		want []int
	}{
		{"", nil},
		{"nothing to see", nil},
		{first, []int{7}},
		{`{"data":"` + second + `"},{"data":"` + first + `"}`, []int{2147483647, 7}},
		{first + first, []int{7, 7}},
		{"stamp:" + first, []int{7}},
		{first[:MinSize-1], nil},
		{"stamp:000000000x:0000000000000000001:", nil},
		{"stamp:9999999999:0000000000000000001:", nil},
		{"stamp:0000000001;0000000000000000001:" + first, []int{7}},
	} {
		var got []int
		for text := []byte(test.text); ; {
			s, rest, ok := nextStamp(text)
			if !ok {
				break
			}
			got, text = append(got, s.index), rest
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("stamps of %q: %v, want %v", test.text, got, test.want)
		}
	}
}

// What is read as a stamp is written the same.
func FuzzStamp(f *testing.F) {
	f.Add([]byte("stamp:0000000007:0000000001234567890:"))
	f.Add([]byte("stamp:stamp:0000000007:0000000001234567890:xxx"))
	f.Add([]byte("stamp:+000000007:0000000001234567890:"))
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
