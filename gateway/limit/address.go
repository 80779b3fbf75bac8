package limit

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the proxies between clients and a node.
type Proxies struct {
	Trusted []netip.Prefix
	// Forwarded selects the header Forwarded (RFC 7239) instead of
	// X-Forwarded-For.
	Forwarded bool
}

// Address returns the address that limits count for r. For IPv6 it is the address of
// the /64, the smallest network of a customer (RFC 6177): otherwise a client would
// have 2^64 addresses. It is the zero Addr for a connection without an address, such
// as of a Unix socket: all of these count as one client.
//
// The client is the remote address of the connection, unless that is a trusted
// proxy. Then the client is in the header of the proxy. Each proxy appends an
// address, so the client is the rightmost one that is not trusted, or the leftmost
// one if all are trusted. A client can forge the addresses further left, and the
// other header, which is ignored.
//
// If the header cannot be parsed, or says that the client is unknown, the address of
// the proxy counts.
func Address(r *http.Request, by Proxies) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	proxy := from.Addr().Unmap().WithZone("")
	lines, nodes := r.Header["X-Forwarded-For"], listedNodes
	if by.Forwarded {
		lines, nodes = r.Header["Forwarded"], forwardedNodes
	}
	if len(lines) == 0 || !contains(by.Trusted, proxy) {
		return network(proxy)
	}
	named, ok := clientOf(lines, nodes, by.Trusted)
	if !ok {
		return network(proxy)
	}
	return network(named)
}

// FromProxy reports whether r is from a proxy in trusted.
func FromProxy(r *http.Request, trusted []netip.Prefix) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && contains(trusted, from.Addr().Unmap().WithZone(""))
}

// Direct returns the address that limits count for a new connection, before its first
// request. ok is false for a proxy in trusted, which forwards requests of many
// clients.
func Direct(remote netip.Addr, trusted []netip.Prefix) (address netip.Addr, ok bool) {
	remote = remote.Unmap().WithZone("")
	if contains(trusted, remote) {
		return netip.Addr{}, false
	}
	return network(remote), true
}

// clientOf finds the client in the lines of a header field. nodes splits one line:
// lines are split separately, so that an open quote of the client ends with its line.
func clientOf(lines []string, nodes func(line string) ([]string, bool), trusted []netip.Prefix) (client netip.Addr, ok bool) {
	for _, line := range slices.Backward(lines) {
		list, whole := nodes(line)
		if !whole {
			return client, false
		}
		for _, node := range slices.Backward(list) {
			if client, ok = parseNode(node); !ok || !contains(trusted, client) {
				return client, ok
			}
		}
	}
	return client, client.IsValid()
}

// listedNodes splits a line of X-Forwarded-For.
func listedNodes(line string) (nodes []string, ok bool) {
	for node := range strings.SplitSeq(line, ",") {
		if node = strings.Trim(node, " \t"); node != "" { // RFC 9110 section 5.6.1.2
			nodes = append(nodes, node)
		}
	}
	return nodes, true
}

// parseNode parses an address, with or without brackets and port. ok is false for the
// other nodes of RFC 7239 section 6, `unknown` and obfuscated names.
func parseNode(node string) (netip.Addr, bool) {
	if strings.HasSuffix(node, "]") {
		node += ":0"
	}
	addr, err := netip.ParseAddr(node)
	if err != nil {
		withPort, err := netip.ParseAddrPort(node)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	return addr.Unmap(), addr.Zone() == ""
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// clientBits is the length of the prefix that identifies an IPv6 client.
const clientBits = 64

// network returns the address that limits count for addr.
func network(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return addr
	}
	return netip.PrefixFrom(addr, clientBits).Masked().Addr()
}
