package gateway

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"comet/gateway/limit"
)

// Headers in which proxies that change Host, or drop its port, pass what the
// client sent.
const (
	forwardedHost = "X-Forwarded-Host"
	forwardedPort = "X-Forwarded-Port"
)

// withOwnHost returns a copy of r with the host of its Origin as its Host, if the
// two differ only in how they are written, or if a trusted proxy reports that the
// browser sent that host. Browsers that do not send Sec-Fetch-Site are judged by
// comparing the two: so pages of the node itself pass.
//
// A page of another site cannot make a browser send these headers.
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

// sameHost reports whether host is that of origin. It ignores the case of letters,
// and the default port of the scheme: browsers omit it in both, and proxies may
// add it.
func sameHost(origin *url.URL, host string) bool {
	usual := map[string]string{"http": ":80", "https": ":443"}[origin.Scheme]
	return strings.EqualFold(strings.TrimSuffix(host, usual), strings.TrimSuffix(origin.Host, usual))
}

// rebound reports whether r may be DNS rebinding: from a page whose own name
// resolves to this machine.
func (p *Policy) rebound(r *http.Request) bool {
	return p.LoopbackPort != 0 && limit.Rebound(r, p.LoopbackPort, p.Origins)
}

// misdirectedHost is the endpoint that refuses a request that is rebound.
func misdirectedHost(_ *Gateway, _ http.ResponseWriter, r *http.Request, _ *requestContext) error {
	return problem(misdirected, "This node is open to the programs of its machine, under localhost or an IP address, and not under the name %q, which any page could have lead here: use http://localhost, or list the origin of the page in http.cors.origins.", r.Host)
}

// crossOrigin is the endpoint that refuses a request from a page of another site.
func crossOrigin(_ *Gateway, _ http.ResponseWriter, r *http.Request, _ *requestContext) error {
	const only = "only this node's own pages, and those of http.cors.origins, may publish."
	if r.Header.Get("Sec-Fetch-Site") != "" {
		return problem(forbidden, "A browser sent this %s from a page of another origin (Origin: %q): "+only, r.Method, r.Header.Get("Origin"))
	}
	return problem(forbidden, "A browser sent this %s from a page of another origin (Origin: %q, Host: %q): "+only+
		" If the page is the node's own, a proxy has changed Host: have it pass Host as the browser sent it, or send X-Forwarded-Host and list the proxy in http.trusted_proxies.",
		r.Method, r.Header.Get("Origin"), r.Host)
}
