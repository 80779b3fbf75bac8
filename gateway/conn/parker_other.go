//go:build !linux

package conn

import (
	"context"
	"time"
)

// Parker holds streams as a Portable does: parking needs Linux's epoll.
type Parker struct{ Portable }

// NewParker makes a parker.
func NewParker(heartbeat time.Duration) (*Parker, error) {
	return &Parker{Portable{Heartbeat: heartbeat}}, nil
}

// Guard does nothing: all comes in through the server.
func (p *Parker) Guard(*Listener, Door) {}

// Drained returns at once: nothing is held beyond its request.
func (p *Parker) Drained(context.Context) (left int) { return 0 }

// Close implements the same as on Linux.
func (p *Parker) Close() error { return nil }
