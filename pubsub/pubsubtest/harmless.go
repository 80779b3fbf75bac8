package pubsubtest

import (
	"slices"
	"testing"
	"time"
)

// Operation is what must go on while others have a trouble. n is another number
// at each call.
type Operation struct {
	Name string
	Do   func(n int) error
}

// Harmless fails unless the operations take no longer once trouble has begun than
// they took before it, in the same process and on the same machine. The trouble
// lasts until the test ends.
func Harmless(t *testing.T, operations []Operation, trouble func()) {
	t.Helper()
	n := 0
	measure := func(when string) map[string][]time.Duration {
		took := make(map[string][]time.Duration)
		for range 5 {
			for _, op := range operations {
				n++
				began := time.Now()
				if err := op.Do(n); err != nil {
					t.Errorf("%s, %s: %v", op.Name, when, err)
				}
				took[op.Name] = append(took[op.Name], time.Since(began))
			}
		}
		return took
	}
	quiet := measure("while all is quiet")
	trouble()
	for name, took := range measure("while there is trouble") {
		// The fastest one: what a trouble holds up, it holds up each time.
		if least, most := slices.Min(took), slices.Max(quiet[name]); least > 2*most+50*time.Millisecond {
			t.Errorf("%s takes %v at least, and %v at most when all is quiet", name, least, most)
		}
	}
}
