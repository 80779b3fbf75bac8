package redisbroker

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Callers that need a fresh result share the next round. Others share the round under
// way. No call outlasts its context.
func TestRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var number atomic.Int32
		r := &rounds[int32]{run: func() (int32, error) {
			time.Sleep(time.Second)
			return number.Add(1), nil
		}}
		ask := func(fresh bool, want int32) {
			go func() {
				if got, err := r.do(t.Context(), fresh); got != want || err != nil {
					t.Errorf("fresh %v: round %d, %v, want %d", fresh, got, err, want)
				}
			}()
			synctest.Wait()
		}
		ask(true, 1)
		ask(false, 1)
		for range 100 {
			ask(true, 2)
		}
		ask(false, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := r.do(ctx, true); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a wait that ended: %v", err)
		}
		time.Sleep(3 * time.Second)
		if n := number.Load(); n != 2 {
			t.Errorf("%d rounds", n)
		}
		r.close()
		if _, err := r.do(t.Context(), false); err == nil {
			t.Error("a round after close")
		}
	})
}
