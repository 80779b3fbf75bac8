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
	return &Parker{Portable{heartbeat}}, nil
}

// Guard does nothing: all comes in through the server.
func (p *Parker) Guard(*Listener, Door) {}

// Delivered is 0: nothing is parked.
func (p *Parker) Delivered() int64 { return 0 }

// Drained returns at once: nothing is held beyond its request.
func (p *Parker) Drained(context.Context) (left int) { return 0 }

// Close implements the same as on Linux.
func (p *Parker) Close() error { return nil }
