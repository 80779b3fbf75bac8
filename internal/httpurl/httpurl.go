// Package httpurl checks URLs that a node calls with secrets, or whose answers it
// trusts.
package httpurl

import (
	"net/netip"
	"net/url"
)

// Secure reports whether only the server that u names can read and answer a request:
// u is https, or http on loopback.
func Secure(u *url.URL) bool {
	return u.Scheme == "https" || isLocal(u)
}

func isLocal(u *url.URL) bool {
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
}
