package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// node is the address of a server.
type node struct {
	Address netip.AddrPort `json:"address"`
	Host    string         `json:"host"`   // the Host header
	Prefix  string         `json:"prefix"` // before every path
}

func (n *node) url(path string) string { return "http://" + n.Host + n.Prefix + path }

// OnLoopback reports whether every request of the target stays on this
// machine's loopback addresses. A name other than localhost does not count,
// whatever it resolves to.
func (t Target) OnLoopback() bool {
	bases, err := t.bases()
	for _, base := range bases {
		address, parseErr := netip.ParseAddr(base.Hostname())
		if base.Hostname() != "localhost" && (parseErr != nil || !address.IsLoopback()) {
			return false
		}
	}
	return err == nil
}

// bases returns the base URLs of all nodes, and of templates that name a server.
func (t *Target) bases() (all []*url.URL, err error) {
	for _, text := range t.Nodes {
		base, err := parseBase(text)
		if err != nil {
			return nil, err
		}
		all = append(all, base)
	}
	for _, template := range []string{t.SubscribeURL, t.PublishURL} {
		if absolute(template) {
			base, _, err := splitTemplate(template)
			if err != nil {
				return nil, err
			}
			all = append(all, base)
		}
	}
	return all, nil
}

// resolve returns the servers of a template: the one that it names, or all nodes.
// It looks a name up once and uses its first address, IPv4 if it has one.
func (t *Target) resolve(ctx context.Context, template string) (nodes []node, err error) {
	bases := t.Nodes
	if absolute(template) {
		base, _, err := splitTemplate(template)
		if err != nil {
			return nil, err
		}
		bases = []string{base.String()}
	}
	for _, text := range bases {
		base, err := parseBase(text)
		if err != nil {
			return nil, err
		}
		address, err := lookUp(ctx, base)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, node{address, base.Host, strings.TrimSuffix(base.EscapedPath(), "/")})
	}
	return nodes, nil
}

func lookUp(ctx context.Context, base *url.URL) (netip.AddrPort, error) {
	port := base.Port()
	if port == "" {
		port = "80"
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%s: %w", base, err)
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", base.Hostname())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%s: the name cannot be resolved: %w", base, err)
	}
	chosen := addresses[0].Unmap()
	for _, a := range addresses {
		if a.Unmap().Is4() {
			chosen = a.Unmap()
			break
		}
	}
	return netip.AddrPortFrom(chosen, uint16(number)), nil
}

// parseBase reads the URL of a node.
func parseBase(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is not a URL: write it like http://127.0.0.1:8080", text)
	case u.Scheme == "https":
		return nil, fmt.Errorf("%q: the load generator does not speak TLS: give the server's plain HTTP address, or put a proxy before it", u.Redacted())
	case u.Scheme != "http" || u.Hostname() == "":
		return nil, fmt.Errorf("%q is not the URL of a server: write it like http://127.0.0.1:8080", u.Redacted())
	case u.User != nil:
		return nil, fmt.Errorf("%q has a user in it: send an Authorization header instead", u.Redacted())
	case u.Fragment != "":
		return nil, fmt.Errorf("%q has a fragment, which is never sent to a server", text)
	}
	return u, nil
}

// absolute reports whether a template names its server.
func absolute(template string) bool { return strings.Contains(template, "://") }

// splitTemplate cuts a template that names its server before the path.
func splitTemplate(template string) (base *url.URL, path string, err error) {
	scheme, rest, _ := strings.Cut(template, "://")
	at := strings.IndexAny(rest, "/?")
	if at < 0 {
		at = len(rest)
	}
	host, path := rest[:at], rest[at:]
	if strings.Contains(host, "{") {
		return nil, "", errors.New("the server's name has a placeholder: put it into the path or query")
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	base, err = parseBase(scheme + "://" + host)
	return base, path, err
}
