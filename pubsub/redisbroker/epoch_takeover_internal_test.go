package redisbroker

import (
	"testing"
	"time"
)

// A status counts if exactly MinReplicas replicas exist. It still counts when there are
// fewer later, as nothing is acknowledged then. Once there were more, no status counts in
// that epoch.
func TestReplicaStatuses(t *testing.T) {
	t.Parallel()
	const need = 1
	for name, c := range map[string]struct {
		replicas []int
		offset   int64 // of the status that counts; 0: none does
	}{
		"none yet":                    {},
		"one":                         {[]int{1, 1}, 2},
		"none":                        {[]int{0}, 0},
		"two":                         {[]int{2}, 0},
		"one that went":               {[]int{1, 0}, 1},
		"one, then two":               {[]int{1, 2}, 0},
		"two, one goes":               {[]int{2, 1}, 0},
		"two for a moment":            {[]int{1, 2, 1}, 0},
		"two, then none":              {[]int{1, 2, 0}, 0},
		"another came while none was": {[]int{1, 0, 1}, 3},
	} {
		var r replicaStatuses
		for i, n := range c.replicas {
			r.record(probeReply{"a", int64(i + 1), n}, time.Now(), need)
		}
		switch args := r.args(); {
		case c.offset == 0 && len(args) > 0:
			t.Errorf("%s: %v counts", name, args)
		case c.offset != 0 && (len(args) != 3 || args[0] != "a" || args[1] != c.offset):
			t.Errorf("%s: %v counts, want the status at %d", name, args, c.offset)
		}
	}
}
