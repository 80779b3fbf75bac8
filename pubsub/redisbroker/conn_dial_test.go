package redisbroker

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A name has addresses that drop packets and addresses that refuse connections. Neither
// delays the one that accepts.
func TestFirstOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		dial := func(ctx context.Context, host string) (net.Conn, error) {
			switch host {
			case "drops":
				<-ctx.Done()
				return nil, context.Cause(ctx)
			case "refuses":
				return nil, refused
			}
			c, _ := net.Pipe()
			return c, nil
		}
		for _, test := range []struct {
			hosts []string
			after time.Duration
			err   error
		}{
			{[]string{"takes"}, 0, nil},
			{[]string{"refuses", "takes"}, 0, nil},
			{[]string{"drops", "drops", "takes"}, 2 * nextAddress, nil},
			{[]string{"drops", "refuses", "takes"}, nextAddress, nil},
			{[]string{"refuses", "refuses"}, 0, refused},
			{[]string{"drops", "refuses"}, time.Second, context.DeadlineExceeded},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			began := time.Now()
			c, err := firstOf(ctx, test.hosts, dial)
			if !errors.Is(err, test.err) || time.Since(began) != test.after {
				t.Errorf("%v: %v after %v, want %v after %v", test.hosts, err, time.Since(began), test.err, test.after)
			}
			if err == nil {
				_ = c.Close()
			}
			cancel()
		}
	})
}
