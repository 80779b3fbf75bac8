package gateway

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"comet/gateway/limit"
)

// What proxies that change Host, or leave out its port, say the client had sent.
const (
	forwardedHost = "X-Forwarded-Host"
	forwardedPort = "X-Forwarded-Port"
)

// withOwnHost returns r with the host of its Origin as its Host, if the two are
// the same but for how they are written, or if a trusted proxy says that the
// browser sent that host. So what compares the two
// from here on, because the browser does not say whether a page is of another
// origin, sees that the page is the node's own. r is not changed.
//
// A page of another site cannot have a browser send these fields.
func withOwnHost(r *http.Request, trusted []netip.Prefix) *http.Request {
	origins := r.Header["Origin"]
	if len(origins) != 1 {
		return r
	}
	origin, err := url.Parse(origins[0])
	if err != nil || origin.Host == "" || origin.Host == r.Host || !ownHost(r, origin, trusted) {
		return r
	}
	own := *r
	own.Host = origin.Host
	return &own
}

// ownHost reports whether the browser sent r to the host of origin.
func ownHost(r *http.Request, origin *url.URL, trusted []netip.Prefix) bool {
	if sameHost(origin, r.Host) {
		return true
	}
	if r.Header[forwardedHost] == nil && r.Header[forwardedPort] == nil || !limit.FromProxy(r, trusted) {
		return false
	}
	ports := fieldValues(r.Header, forwardedPort)
	for _, host := range append(fieldValues(r.Header, forwardedHost), r.Host) {
		if sameHost(origin, host) || slices.ContainsFunc(ports, func(port string) bool { return sameHost(origin, host+":"+port) }) {
			return true
		}
	}
	return false
}

// sameHost reports whether host is that of origin, in any case of letters, and
// with or without the port that is its scheme's: browsers leave that out of
// both, and proxies may add it.
func sameHost(origin *url.URL, host string) bool {
	usual := map[string]string{"http": ":80", "https": ":443"}[origin.Scheme]
	return strings.EqualFold(strings.TrimSuffix(host, usual), strings.TrimSuffix(origin.Host, usual))
}

// rebound reports whether r may come from a page whose own name leads to this
// machine.
func (p *Policy) rebound(r *http.Request) bool {
	return p.LoopbackPort != 0 && limit.Rebound(r, p.LoopbackPort, p.Origins)
}

// misdirectedHost refuses such a request.
func misdirectedHost(_ *Gateway, _ http.ResponseWriter, r *http.Request, _ *requestContext) error {
	return problem(misdirected, "This node is open to the programs of its machine, under localhost or an IP address, and not under the name %q, which any page could have lead here: use http://localhost, or list the origin of the page in http.cors.origins.", r.Host)
}

// crossOrigin refuses what protected does not let pass.
func crossOrigin(_ *Gateway, _ http.ResponseWriter, r *http.Request, _ *requestContext) error {
	const only = "only this node's own pages, and those of http.cors.origins, may publish."
	if r.Header.Get("Sec-Fetch-Site") != "" {
		return problem(forbidden, "A browser sent this %s from a page of another origin (Origin: %q): "+only, r.Method, r.Header.Get("Origin"))
	}
	return problem(forbidden, "A browser sent this %s from a page of another origin (Origin: %q, Host: %q): "+only+
		" If the page is the node's own, a proxy has changed Host: have it pass Host as the browser sent it, or send X-Forwarded-Host and list the proxy in http.trusted_proxies.",
		r.Method, r.Header.Get("Origin"), r.Host)
}
