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

// Rebound reports whether r may be from a page whose host name resolves to this
// machine (DNS rebinding). To the browser, such a page has the same origin as a
// listener on loopback at port, so it could read and publish whatever is open on this
// machine. The Host of such a request has the listener's port, and is neither
// localhost, an IP address nor the host of one of origins. A request through a proxy
// has the port of the proxy. If origins is "*" alone, every page may do the same, and
// Rebound returns false.
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

// IsLocalName reports whether a host, without its port, cannot belong to a domain of
// somebody else: localhost, a name below it (RFC 6761 section 6.3), or an IP address.
func IsLocalName(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}
