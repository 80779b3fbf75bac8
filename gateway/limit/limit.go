// Package limit keeps one client from harming the rest: who a request counts
// for, how much it may do in a second and how much at a time, and which other
// sites' pages may call. All of it is per node.
package limit

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
)

// Limit is a limit that a client can meet.
type Limit int

// Every limit, by what is counted and for whom.
const (
	AddressConnections Limit = iota
	UserConnections
	AddressRequests
	UserRequests
	AddressPublishes
	UserPublishes
	Limits // how many there are
)

// String is a metric's label value.
func (l Limit) String() string {
	return [Limits]string{
		"address-connections", "user-connections",
		"address-requests", "user-requests",
		"address-publishes", "user-publishes",
	}[l]
}

// Options of a Limiter. The zero value limits nothing.
type Options struct {
	AddressConnections int // open at a time; 0: no limit
	UserConnections    int // open at a time; 0: no limit
	AddressRequests    Rate
	UserRequests       Rate
	AddressPublishes   Rate // of messages
	UserPublishes      Rate // of messages
	Keys               int  // as for NewRates, of each rate
}

// Client is who a request counts for.
type Client struct {
	Address netip.Addr // as Address returns it
	User    string     // empty: anonymous, for whom only the address counts
	Trusted bool       // nothing counts
}

// Exceeded is the error of a client that has met a limit.
type Exceeded struct {
	Limit Limit
	Wait  time.Duration // until it is worth another try; 0: nobody knows
}

func (e *Exceeded) Error() string {
	if e.Wait == 0 {
		return fmt.Sprintf("over the limit %v", e.Limit)
	}
	return fmt.Sprintf("over the limit %v for another %v", e.Limit, e.Wait)
}

// Limiter has every limit of a node. It may be used concurrently, and its
// limits never change: Change makes another.
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

// Change makes a Limiter with other limits that goes on with what l has counted:
// the connections that are open, the rates that stay, and the Stats. A rate that
// changes begins anew for everyone. What l has let in must Disconnect from l.
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

// Request takes one request from c's rates, or is an *Exceeded. Ask last: what
// was taken is not given back if the request is then handled another way.
func (l *Limiter) Request(c Client) error {
	return allowN(c, 1, l.userRequests, UserRequests, l.addressRequests, AddressRequests)
}

// RequestOfAddress and RequestOfUser are the two halves of Request, for a
// request whose user is found out only at a cost.
func (l *Limiter) RequestOfAddress(c Client) error {
	return l.Request(Client{Address: c.Address, Trusted: c.Trusted})
}

// RequestOfUser is the half that RequestOfAddress leaves.
func (l *Limiter) RequestOfUser(c Client) error {
	if c.Trusted || c.User == "" {
		return nil
	}
	if wait, ok := l.userRequests.AllowN(c.User, 1); !ok {
		return &Exceeded{UserRequests, wait}
	}
	return nil
}

// Publish takes n messages from c's rates, or is an *Exceeded.
func (l *Limiter) Publish(c Client, n int) error {
	return allowN(c, n, l.userPublishes, UserPublishes, l.addressPublishes, AddressPublishes)
}

// allowN asks for the user first, so that what one is refused costs the others at
// the same address nothing.
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

// Count counts err if it is, or wraps, an *Exceeded. Call it where the client
// is told: who is refused at the door asks again on the long way, and must
// count once.
func (l *Limiter) Count(err error) {
	if e, ok := errors.AsType[*Exceeded](err); ok {
		l.refused[e.Limit].Add(1)
	}
}

// Stats is what a Limiter counts, since the start.
type Stats struct {
	Refused [Limits]int64 // by Limit, as told to Count
	Pardons int64         // rates forgotten before their time, see NewRates; many: raise Options.Keys
}

// Stats may be called at any time.
func (l *Limiter) Stats() Stats {
	s := Stats{Pardons: l.addressRequests.Pardons() + l.userRequests.Pardons() + l.addressPublishes.Pardons() + l.userPublishes.Pardons()}
	for i := range l.refused {
		s.Refused[i] = l.refused[i].Load()
	}
	return s
}
