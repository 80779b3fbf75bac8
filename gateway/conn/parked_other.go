//go:build !linux

package conn

import (
	"context"
	"runtime"
	"time"
)

// Parker holds streams and polls as a Portable does: parking needs Linux's epoll.
type Parker struct{ Portable }

// NewParker makes a parker.
func NewParker(heartbeat time.Duration) (*Parker, error) {
	return &Parker{Portable{Heartbeat: heartbeat, counters: newCounters(runtime.GOMAXPROCS(0))}}, nil
}

// EnableFastPath does nothing: the server accepts all connections.
func (p *Parker) EnableFastPath(*Listener, FastPath) {}

// Stats may be called at any time.
func (p *Parker) Stats() Stats { return p.counters.stats() }

// WaitDrained returns at once: nothing is held beyond its request.
func (p *Parker) WaitDrained(context.Context) (left int) { return 0 }

// Close does nothing.
func (p *Parker) Close(context.Context) error { return nil }
