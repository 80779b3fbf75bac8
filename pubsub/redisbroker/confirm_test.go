package redisbroker

import "testing"

// A reader who comes from a generation that began since is not led back on the
// strength of what was confirmed to others before.
func TestConfirmationIsOfACrossing(t *testing.T) {
	var c confirmations
	c.add(crossing{1, 2})
	if !c.fresh(crossing{1, 2}) {
		t.Error("it is forgotten")
	}
	if c.fresh(crossing{3, 2}) || c.fresh(crossing{2, 1}) {
		t.Error("it counts for a reader from another generation")
	}
}
