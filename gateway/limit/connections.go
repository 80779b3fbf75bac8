package limit

import "net/netip"

// Connections counts the streams and polls of each client. It is the part of a
// Limiter that every one of them needs until its end.
type Connections struct {
	addresses *Counts[netip.Addr]
	users     *Counts[string]
}

// Counts reports whether Connect counts anything, so that Disconnect matters.
func (l *Connections) Counts() bool { return l.addresses.limit > 0 || l.users.limit > 0 }

// Address is how many streams and polls an address may have; 0: any number.
func (l *Connections) Address() int { return l.addresses.limit }

// Connect counts a stream or poll of c, or is an *Exceeded. Once it is over,
// and not sooner, Disconnect must be called with the same c.
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

// Disconnect ends what one Connect counted.
func (l *Connections) Disconnect(c Client) {
	if c.Trusted {
		return
	}
	l.addresses.Release(c.Address)
	if c.User != "" {
		l.users.Release(c.User)
	}
}
