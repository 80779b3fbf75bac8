//go:build !linux

package loadtest

import (
	"context"
	"fmt"
	"runtime"
)

// connections is nothing here: only Linux has epoll.
type connections struct{}

func (*connections) open() error {
	return fmt.Errorf("not on %s: the load generator needs Linux", runtime.GOOS)
}

func (*swarm) run(context.Context) error { return nil }

func (*swarm) send(*subscriber, Poll) error { return nil }
