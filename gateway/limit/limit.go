// Package limit keeps one client from harming others. It finds the client of a
// request, limits its rates and its connections, and limits which origins may call
// (CORS). All limits are per node.
package limit

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
)

// Limit is a kind of limit.
type Limit int

// Kinds of limits, by client and by what is counted.
const (
	AddressConnections Limit = iota
	UserConnections
	AddressRequests
	UserRequests
	AddressPublishes
	UserPublishes
	Limits // their number
)

// String returns the value of a metric label.
func (l Limit) String() string {
	return [Limits]string{
		"address-connections", "user-connections",
		"address-requests", "user-requests",
		"address-publishes", "user-publishes",
	}[l]
}

// Options of a Limiter. The zero value limits nothing.
type Options struct {
	AddressConnections int // at a time; 0: no limit
	UserConnections    int // at a time; 0: no limit
	AddressRequests    Rate
	UserRequests       Rate
	AddressPublishes   Rate // of messages
	UserPublishes      Rate // of messages
	Keys               int  // of each rate, see NewRates
}

// Client is the client that limits count for.
type Client struct {
	Address netip.Addr // as Address returns it
	User    string     // empty: anonymous, only the address counts
	Trusted bool       // exempt from limits
}

// Exceeded is the error of a client over a limit.
type Exceeded struct {
	Limit Limit
	Wait  time.Duration // until a retry can succeed; 0: unknown
}

func (e *Exceeded) Error() string {
	if e.Wait == 0 {
		return fmt.Sprintf("over the limit %v", e.Limit)
	}
	return fmt.Sprintf("over the limit %v for another %v", e.Limit, e.Wait)
}

// Limiter holds the limits of a node. It may be used concurrently. Its limits never
// change: Change makes another Limiter.
type Limiter struct {
	*Connections
	addressRequests  *Rates[netip.Addr]
	userRequests     *Rates[string]
	addressPublishes *Rates[netip.Addr]
	userPublishes    *Rates[string]

	refused *[Limits]atomic.Int64
}

// New makes a Limiter.
func New(o Options) *Limiter {
	return &Limiter{
		Connections: &Connections{
			addresses: NewCounts[netip.Addr](o.AddressConnections),
			users:     NewCounts[string](o.UserConnections),
		},
		addressRequests:  NewRates[netip.Addr](o.AddressRequests, o.Keys),
		userRequests:     NewRates[string](o.UserRequests, o.Keys),
		addressPublishes: NewRates[netip.Addr](o.AddressPublishes, o.Keys),
		userPublishes:    NewRates[string](o.UserPublishes, o.Keys),
		refused:          new([Limits]atomic.Int64),
	}
}

// Change makes a Limiter with other limits that shares open connections, unchanged
// rates and Stats with l. A changed rate begins with full buckets. Connections that l
// counted must Disconnect from l.
func (l *Limiter) Change(o Options) *Limiter {
	return &Limiter{
		Connections: &Connections{
			addresses: l.addresses.withLimit(o.AddressConnections),
			users:     l.users.withLimit(o.UserConnections),
		},
		addressRequests:  l.addressRequests.withRate(o.AddressRequests, o.Keys),
		userRequests:     l.userRequests.withRate(o.UserRequests, o.Keys),
		addressPublishes: l.addressPublishes.withRate(o.AddressPublishes, o.Keys),
		userPublishes:    l.userPublishes.withRate(o.UserPublishes, o.Keys),
		refused:          l.refused,
	}
}

// Request takes one request from the rates of c, or returns an *Exceeded. Call it
// last: the request is not given back if it is refused for another reason.
func (l *Limiter) Request(c Client) error {
	return allowN(c, 1, l.userRequests, UserRequests, l.addressRequests, AddressRequests)
}

// RequestOfAddress and RequestOfUser are the halves of Request, for callers that find
// the user only at a cost.
func (l *Limiter) RequestOfAddress(c Client) error {
	return l.Request(Client{Address: c.Address, Trusted: c.Trusted})
}

// RequestOfUser is the other half of RequestOfAddress.
func (l *Limiter) RequestOfUser(c Client) error {
	if c.Trusted || c.User == "" {
		return nil
	}
	if wait, ok := l.userRequests.AllowN(c.User, 1); !ok {
		return &Exceeded{UserRequests, wait}
	}
	return nil
}

// Publish takes n messages from the rates of c, or returns an *Exceeded.
func (l *Limiter) Publish(c Client, n int) error {
	return allowN(c, n, l.userPublishes, UserPublishes, l.addressPublishes, AddressPublishes)
}

// allowN takes from the user first: a user over the limit must not cost others at the
// same address.
func allowN(c Client, n int, users *Rates[string], user Limit, addresses *Rates[netip.Addr], address Limit) error {
	if c.Trusted {
		return nil
	}
	if c.User != "" {
		if wait, ok := users.AllowN(c.User, n); !ok {
			return &Exceeded{user, wait}
		}
	}
	if wait, ok := addresses.AllowN(c.Address, n); !ok {
		return &Exceeded{address, wait}
	}
	return nil
}

// Count counts err if it is or wraps an *Exceeded. Call it where the error is sent:
// a refusal on the fast path is repeated through net/http, and must count once.
func (l *Limiter) Count(err error) {
	if e, ok := errors.AsType[*Exceeded](err); ok {
		l.refused[e.Limit].Add(1)
	}
}

// Stats are counters of a Limiter since its start.
type Stats struct {
	Refused [Limits]int64 // by Limit, as passed to Count
	Pardons int64         // buckets evicted before they were full, see NewRates; many: raise Options.Keys
}

// Stats may be called at any time.
func (l *Limiter) Stats() Stats {
	s := Stats{Pardons: l.addressRequests.Pardons() + l.userRequests.Pardons() + l.addressPublishes.Pardons() + l.userPublishes.Pardons()}
	for i := range l.refused {
		s.Refused[i] = l.refused[i].Load()
	}
	return s
}
