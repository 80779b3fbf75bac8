package redistest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// directive is one line of redis.conf: a name and its arguments.
type directive []string

// writeConfig writes the server's redis.conf. It is a file and not a command
// line because Sentinel, and CONFIG REWRITE after a change of roles, keep
// there what must outlive a restart.
func (s *Server) writeConfig() {
	s.t.Helper()
	directives := append(s.directives(), s.role...)
	var text strings.Builder
	for _, d := range directives {
		text.WriteString(d[0])
		for _, argument := range d[1:] {
			fmt.Fprintf(&text, " %q", argument) // Redis reads Go's escapes of ASCII
		}
		text.WriteByte('\n')
	}
	if err := os.WriteFile(s.configPath(), []byte(text.String()), 0o600); err != nil {
		s.t.Fatalf("write redis.conf: %v", err)
	}
}

// directives is what redis.conf says whatever the server's role is.
func (s *Server) directives() []directive {
	all := []directive{{"dir", s.dir}}
	if s.tls != nil {
		all = append(all, s.tlsDirectives()...)
	}
	if s.kind == sentinel {
		return all
	}
	all = append(all,
		directive{"save", ""},
		// A replica gets its copy at once instead of after 5 s, in which more
		// of them might have come.
		directive{"repl-diskless-sync-delay", "0"},
		// A primary that is not written to sends something every second instead
		// of every 10 s: a Redis Cluster hides replicas that never got anything.
		directive{"repl-ping-replica-period", "1"},
	)
	if s.persist {
		all = append(all, directive{"appendonly", "yes"}, directive{"appendfsync", "no"}) // no power cut is tested
	}
	if s.password != "" {
		all = append(all, directive{"requirepass", s.password}, directive{"masterauth", s.password})
	}
	for _, user := range s.users {
		all = append(all, append(directive{"user"}, user...))
	}
	return all
}

// commandLine is redis-server's.
func (s *Server) commandLine() []string {
	args := []string{s.configPath(), "--daemonize", "no", "--logfile", ""}
	if s.tcp {
		host, port, _ := net.SplitHostPort(s.addr)
		if s.tls != nil {
			args = append(args, "--bind", host, "--port", "0", "--tls-port", port)
		} else {
			args = append(args, "--bind", host, "--port", port)
		}
	} else {
		args = append(args, "--port", "0", "--unixsocket", s.addr)
	}
	switch s.kind {
	case clusterNode:
		args = append(args, "--cluster-port", s.busPort)
		if s.nextHost != nil { // the address that others see would be theirs, on one machine
			args = append(args, "--cluster-announce-ip", s.host)
		}
	case sentinel:
		args = append(args, "--sentinel")
	}
	return append(args, s.args...)
}

func (s *Server) configPath() string { return filepath.Join(s.dir, "redis.conf") }

// chooseAddr gives the server an address without a listener.
func (s *Server) chooseAddr() {
	s.t.Helper()
	if !s.tcp {
		s.addr = filepath.Join(s.dir, "redis.sock")
		return
	}
	if s.nextHost != nil {
		s.host = s.nextHost()
	}
	l := s.listenAnywhere()
	defer l.Close()
	s.addr = l.Addr().String()
	if s.kind == clusterNode {
		bus := s.listenAnywhere()
		defer bus.Close()
		_, s.busPort, _ = net.SplitHostPort(bus.Addr().String())
	}
}

// listenAnywhere takes a port below those that systems give to outgoing
// connections (32768 or 49152 and above): one of these could take the port of a
// server that is down and has to come back to it.
func (s *Server) listenAnywhere() net.Listener {
	s.t.Helper()
	const first, last, attempts = 10_000, 32_767, 100
	host := cmp.Or(s.host, "127.0.0.1")
	if s.host != "" {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			s.t.Skipf("%s needs the address %s: %v", s.t.Name(), host, err)
		}
		_ = l.Close()
	}
	var err error
	for range attempts {
		port := first + rand.N(last-first+1)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err == nil {
			return l
		}
	}
	s.t.Fatalf("find a free port: %v", err)
	return nil
}
