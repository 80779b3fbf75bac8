package config

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// listenAddress is host:port. Port 0, for tests, is any free port.
func listenAddress() kind[string] {
	return stringKind("host:port", func(text string) error {
		if _, _, ok := splitAddress(text); !ok {
			return errors.New("is not host:port: write for example 127.0.0.1:8080, or :8080 for every interface")
		}
		return nil
	})
}

// listenAddressOrNone is host:port, or empty for no listener.
func listenAddressOrNone() kind[string] {
	return stringKind("host:port, or empty", func(text string) error {
		if _, _, ok := splitAddress(text); !ok && text != "" {
			return errors.New("is not host:port: write for example 127.0.0.1:9090, or nothing for no listener")
		}
		return nil
	})
}

// redisAddress is host:port or the absolute path of a Unix socket.
func redisAddress() kind[string] {
	return stringKind("host:port each, or one absolute path of a Unix socket", func(text string) error {
		if strings.Contains(text, "://") {
			return errors.New("is a URL: write only its host:port, and the rest in redis.username, redis.password, redis.db and redis.tls.enabled")
		}
		if isSocket(text) {
			return nil
		}
		if host, port, ok := splitAddress(text); !ok || host == "" || port == 0 {
			return errors.New("is not host:port: write for example redis:6379, or the absolute path of a Unix socket")
		}
		return nil
	})
}

func isSocket(address string) bool { return strings.HasPrefix(address, "/") }

func splitAddress(text string) (host string, port uint16, ok bool) {
	host, portText, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsFunc(host, notInHost) {
		return "", 0, false
	}
	n, err := strconv.ParseUint(portText, 10, 16)
	return host, uint16(n), err == nil
}

func notInHost(r rune) bool {
	return unicode.IsControl(r) || unicode.IsSpace(r) || r == unicode.ReplacementChar || strings.ContainsRune("/@,[]", r)
}

// isLoopback reports whether only this machine can reach a listener there. A
// host name other than localhost may be any address.
func isLoopback(listen string) bool {
	host, _, _ := splitAddress(listen)
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// addressPrefix is an address or a prefix (CIDR) of addresses.
func addressPrefix() kind[string] {
	return stringKind("IP addresses, or prefixes as 10.0.0.0/8", func(text string) error {
		if _, err := parsePrefix(text); err != nil {
			return errors.New("is not an IP address or prefix: write for example 10.0.0.0/8 or 192.0.2.1")
		}
		return nil
	})
}

func parsePrefix(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// TrustedPrefixes is http.trusted_proxies.
func (s *Settings) TrustedPrefixes() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range s.HTTP.TrustedProxies {
		if prefix, err := parsePrefix(text); err == nil { // Load has checked them
			all = append(all, prefix)
		}
	}
	return all
}
