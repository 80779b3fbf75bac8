package redisbroker

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"comet/pubsub"
)

// A reader from a generation that began since is not led back because of what was
// confirmed to others before; a refusal counts for all, for a shorter time.
func TestConfirmationIsOfATransition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c confirmations
		p, no := &primary{}, errors.New("no")
		recall := func(from, to int) (error, bool) {
			x := transition{pubsub.Generation(from), pubsub.Generation(to)}
			return c.recall(x, takeover{p, x.to})
		}
		c.note(transition{1, 2}, takeover{p, 2}, time.Now(), nil)
		if err, ok := recall(1, 2); !ok || err != nil {
			t.Error("it is forgotten")
		}
		for _, other := range [][2]int{{3, 2}, {2, 1}} {
			if _, ok := recall(other[0], other[1]); ok {
				t.Errorf("it counts for %v", other)
			}
		}
		time.Sleep(confirmedFor)
		if _, ok := recall(1, 2); ok {
			t.Error("it counts for ever")
		}

		c.note(transition{1, 5}, takeover{p, 5}, time.Now(), no)
		if err, ok := recall(4, 5); !ok || err != no {
			t.Errorf("a refusal is forgotten: %v, %v", err, ok)
		}
		time.Sleep(refusedFor)
		if _, ok := recall(1, 5); ok {
			t.Error("a refusal counts for ever")
		}
		if _, w, age := c.longest(); w == nil || age != refusedFor {
			t.Errorf("it has waited %v", age)
		}
		c.note(transition{1, 5}, takeover{p, 5}, time.Now(), nil)
		if _, w, _ := c.longest(); w != nil {
			t.Error("it waits although it is confirmed")
		}
	})
}
