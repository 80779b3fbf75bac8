package limit

import "net/netip"

// Connections counts the streams and polls of each client. It is the part of a
// Limiter that they need until they end.
type Connections struct {
	addresses *Counts[netip.Addr]
	users     *Counts[string]
}

// Counts reports whether Connect counts anything, so that Disconnect is needed.
func (l *Connections) Counts() bool { return l.addresses.limit > 0 || l.users.limit > 0 }

// Address returns the maximum streams and polls per address; 0: no limit.
func (l *Connections) Address() int { return l.addresses.limit }

// Connect counts a stream or poll of c, or returns an *Exceeded. At its end
// Disconnect must be called with the same c.
func (l *Connections) Connect(c Client) error {
	if c.Trusted {
		return nil
	}
	if !l.addresses.Acquire(c.Address) {
		return &Exceeded{Limit: AddressConnections}
	}
	if c.User != "" && !l.users.Acquire(c.User) {
		l.addresses.Release(c.Address)
		return &Exceeded{Limit: UserConnections}
	}
	return nil
}

// Disconnect undoes one Connect.
func (l *Connections) Disconnect(c Client) {
	if c.Trusted {
		return
	}
	l.addresses.Release(c.Address)
	if c.User != "" {
		l.users.Release(c.User)
	}
}
