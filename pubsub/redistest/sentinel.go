package redistest

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"
)

const (
	sentinels    = 3
	sentinelName = "comet"

	// downAfterMS is how long a server that is taken for down was silent. A
	// Sentinel connects to a new primary only pingMS after it heard of it, so
	// that must be well below; but a replica whose INFO, asked for each second,
	// is older than five pingMS is not promoted.
	downAfterMS = 800
	pingMS      = 400

	// publishMS is how often a Sentinel tells the others what it knows, once
	// all know each other. After four times as long one demotes a primary that
	// it does not know as such, so it must be well above the second that a
	// promotion needs to be seen.
	publishMS = 750
)

// Sentinel is a primary and its replicas under three Sentinels, which promote
// a replica when the primary was silent for 0.8 s. Like a Server it belongs to
// the test's own goroutine.
type Sentinel struct {
	t         testing.TB
	servers   []*Server // the first primary and its replicas
	sentinels []*Server
}

// StartSentinel starts a primary, its replicas (see Replicas) and three
// Sentinels, and returns when each of these knows all. The options are for the
// servers; of them TLS counts for the Sentinels too, which ask for no password.
func StartSentinel(t testing.TB, options ...Option) *Sentinel {
	t.Helper()
	settings := settings{replicas: 1}
	for _, option := range options {
		option(&settings)
	}
	settings.tcp = true
	s := &Sentinel{t: t, servers: []*Server{startServer(t, settings)}}
	for range settings.replicas {
		s.servers = append(s.servers, Replica(t, s.servers[0]))
	}
	for range sentinels {
		s.sentinels = append(s.sentinels, startSentinel(t, s.servers[0]))
	}
	for _, watcher := range s.sentinels {
		await(t, "the Sentinels know all", func() error { return s.complete(watcher) })
		watcher.Do("SENTINEL", "DEBUG", "PUBLISH-PERIOD", publishMS)
	}
	return s
}

// startSentinel starts one that watches primary.
func startSentinel(t testing.TB, primary *Server) *Server {
	t.Helper()
	host, port, _ := net.SplitHostPort(primary.addr)
	role := []directive{
		{"sentinel", "monitor", sentinelName, host, port, strconv.Itoa(sentinels/2 + 1)},
		{"sentinel", "down-after-milliseconds", sentinelName, strconv.Itoa(downAfterMS)},
		{"sentinel", "failover-timeout", sentinelName, "3000"},
	}
	if primary.password != "" {
		role = append(role, directive{"sentinel", "auth-pass", sentinelName, primary.password})
	}
	s := startServer(t, settings{tcp: true, tls: primary.tls, kind: sentinel, role: role})
	// More often than usual, so that news are known sooner. And a machine that
	// stalls for 2 s must not put off a failover for 30 s.
	s.Do("SENTINEL", "DEBUG", "PING-PERIOD", pingMS, "INFO-PERIOD", 500, "PUBLISH-PERIOD", 100, "ASK-PERIOD", 100, "TILT-PERIOD", 1000)
	return s
}

// complete reports the servers that watcher does not know yet.
func (s *Sentinel) complete(watcher *Server) error {
	const format = "name=" + sentinelName + ",status=ok,address=%s,slaves=%d,sentinels=%d"
	want := fmt.Sprintf(format, s.servers[0].addr, len(s.servers)-1, sentinels)
	if got, err := watcher.info("sentinel", "master0"); err != nil || got != want {
		return fmt.Errorf("got %q, want %q (%v)", got, want, err)
	}
	return nil
}

// Addresses are those of the Sentinels.
func (s *Sentinel) Addresses() []string { return addresses(s.sentinels) }

// Master is the name by which the Sentinels know the primary.
func (s *Sentinel) Master() string { return sentinelName }

// Servers are the first primary, then its replicas, whatever became of them.
func (s *Sentinel) Servers() []*Server { return s.servers }

// Sentinels are the processes at Addresses. Two of them must run for a
// failover.
func (s *Sentinel) Sentinels() []*Server { return s.sentinels }

// Primary returns the primary when the Sentinels that run agree on it, and it
// runs and knows that it is one.
func (s *Sentinel) Primary() *Server {
	s.t.Helper()
	return s.AwaitPrimaryOther(nil)
}

// AwaitPrimaryOther is Primary when that is another server than the one given,
// as after its Kill.
func (s *Sentinel) AwaitPrimaryOther(than *Server) *Server {
	s.t.Helper()
	var primary *Server
	await(s.t, "there is a new primary", func() (err error) {
		if primary, err = s.primary(); err == nil && primary == than {
			err = fmt.Errorf("it is still %s", than.addr)
		}
		return err
	})
	return primary
}

// Failover makes the Sentinels promote a replica while the primary is well,
// and returns the new primary.
func (s *Sentinel) Failover() *Server {
	s.t.Helper()
	old := s.Primary()
	await(s.t, "a Sentinel begins a failover", func() error {
		asked := errors.New("no Sentinel runs")
		for _, watcher := range s.sentinels {
			if !watcher.running() {
				continue
			}
			if _, asked = watcher.try("SENTINEL", "FAILOVER", sentinelName); asked == nil {
				break
			}
		}
		return asked
	})
	return s.AwaitPrimaryOther(old)
}

// primary asks once.
func (s *Sentinel) primary() (*Server, error) {
	var primary *Server
	for _, watcher := range s.sentinels {
		if !watcher.running() {
			continue
		}
		named, err := s.named(watcher)
		if err != nil {
			return nil, err
		}
		if primary != nil && primary != named {
			return nil, fmt.Errorf("one Sentinel says %s, another %s", primary.addr, named.addr)
		}
		primary = named
	}
	if primary == nil || !primary.running() {
		return nil, errors.New("it does not run, or no Sentinel does")
	}
	if role, err := primary.info("replication", "role"); err != nil || role != "master" {
		return nil, fmt.Errorf("%s has the role %q (%v)", primary.addr, role, err)
	}
	return primary, nil
}

// named is the server that watcher takes for the primary.
func (s *Sentinel) named(watcher *Server) (*Server, error) {
	reply, err := watcher.try("SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinelName)
	if err != nil {
		return nil, err
	}
	pair, _ := reply.([]any)
	if len(pair) == 2 {
		addr := net.JoinHostPort(fmt.Sprint(pair[0]), fmt.Sprint(pair[1]))
		for _, server := range s.servers {
			if server.addr == addr {
				return server, nil
			}
		}
	}
	return nil, fmt.Errorf("a Sentinel named %v", reply)
}

func addresses(servers []*Server) []string {
	all := make([]string, len(servers))
	for i, s := range servers {
		all[i] = s.addr
	}
	return all
}
