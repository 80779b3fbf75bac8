package limit

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Rebound reports whether r may come from a page whose own name leads to this
// machine (DNS rebinding): a browser sees it at the origin of a listener on
// loopback at port, so that it may read and publish what is open on this machine.
// Such a request names a host that is neither localhost nor an IP address, nor
// the host of one of origins, and the listener's port, as browsers name the port
// that they connect to. One that comes through a proxy names the proxy's. If
// origins is "*" alone, nothing is gained by it: every page may do as much.
func Rebound(r *http.Request, port uint16, origins []string) bool {
	host, at, err := net.SplitHostPort(r.Host)
	if err != nil {
		host, at = r.Host, map[bool]string{false: "80", true: "443"}[r.TLS != nil]
	}
	if at != strconv.Itoa(int(port)) || IsLocalName(host) || slices.Equal(origins, []string{"*"}) {
		return false
	}
	return !slices.ContainsFunc(origins, func(origin string) bool {
		u, err := url.Parse(origin)
		return err == nil && u.Host != "" && strings.EqualFold(u.Hostname(), host)
	})
}

// IsLocalName reports whether a host, without its port, is a name that no other
// machine's owner can have: localhost, a name below it (RFC 6761 section 6.3),
// or an IP address.
func IsLocalName(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}
