package limit

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are what stands between clients and a node.
type Proxies struct {
	Trusted []netip.Prefix
	// Forwarded: they name the client in Forwarded (RFC 7239), and not in
	// X-Forwarded-For.
	Forwarded bool
}

// Address is the address that r's client counts as. For IPv6 it is that of its
// /64, which is the least that a customer gets (RFC 6177), so that no client has
// 2^64 of them. It is the zero Addr if the connection has none, as a Unix
// socket's, which counts as one client.
//
// The client is where the connection is from. If that is a trusted proxy, the
// client is the one that the proxy names in its header: of the addresses there,
// which each proxy adds to at the right, the rightmost that is not trusted too, or
// the leftmost if all are. What is further left the client may have invented, as
// the whole of the other header, which is not looked at: proxies let that pass.
//
// Where the header cannot be read, or says that the client is unknown, the proxy's
// own address counts.
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

// Direct is the address that a new connection counts for, before anything was
// read from it. ok is false for one from a proxy in trusted, which carries the
// requests of many.
func Direct(remote netip.Addr, trusted []netip.Prefix) (address netip.Addr, ok bool) {
	remote = remote.Unmap().WithZone("")
	if contains(trusted, remote) {
		return netip.Addr{}, false
	}
	return network(remote), true
}

// clientOf looks for the client in the lines of a field, which nodes cuts. A
// line is cut by itself, so that a quote which the client left open ends with
// its line.
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

// listedNodes cuts a line of X-Forwarded-For.
func listedNodes(line string) (nodes []string, ok bool) {
	for node := range strings.SplitSeq(line, ",") {
		if node = strings.Trim(node, " \t"); node != "" { // RFC 9110 section 5.6.1.2
			nodes = append(nodes, node)
		}
	}
	return nodes, true
}

// parseNode reads an address, for IPv6 in brackets or not, with a port or not.
// It is no other node that RFC 7239 section 6 has, `unknown` or a secret name.
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

// clientBits is how much of an IPv6 address tells clients apart.
const clientBits = 64

// network is what addr counts as.
func network(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return addr
	}
	return netip.PrefixFrom(addr, clientBits).Masked().Addr()
}
