package redisbroker

import "testing"

// The answers of Redis's CLUSTER KEYSLOT.
func TestSlotOf(t *testing.T) {
	for channel, want := range map[string]int{"foo": 12182, "bar": 5061, "123456789": 12739, "": 0} {
		if got := slotOf(channel); got != want {
			t.Errorf("slotOf(%q) = %d, want %d", channel, got, want)
		}
	}
}
