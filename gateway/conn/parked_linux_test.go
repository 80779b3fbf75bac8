package conn

import (
	"testing"
	"unsafe"
)

// The state of an idle connection does not grow unnoticed: a node has a hundred
// thousand of them.
func TestParkedSize(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("needs a 64-bit system")
	}
	for _, test := range []struct {
		name      string
		got, most uintptr
	}{
		{"parked", unsafe.Sizeof(parked{}), 160},
		{"poll", unsafe.Sizeof(poll{}), 80},
		{"feed", unsafe.Sizeof(feed{}), 160},
		{"shard", unsafe.Sizeof(shard{}), 112},
		{"slot", unsafe.Sizeof(slot{}), 16},
	} {
		if test.got > test.most {
			t.Errorf("a %s takes %d bytes, want at most %d", test.name, test.got, test.most)
		}
	}
}
