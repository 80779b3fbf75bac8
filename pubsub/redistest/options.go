package redistest

import "time"

// Option changes how a server is set up. Given to Replica it changes what the
// replica has from its primary; given to StartSentinel or StartCluster it is
// for every server of the topology.
type Option func(*settings)

type settings struct {
	tcp      bool
	host     string // to listen on; empty: 127.0.0.1
	nextHost func() string
	persist  bool
	password string
	users    [][]string // the arguments of "user" in the configuration
	tls      *authority // nil: plain
	clock    *time.Duration
	args     []string
	replicas int // of StartSentinel

	role []directive // what the topology adds to the configuration
	kind kind
}

// kind is what redis-server is started as.
type kind int

const (
	standalone kind = iota
	clusterNode
	sentinel
)

// TCP makes the server listen on 127.0.0.1 instead of a unix socket.
func TCP(s *settings) { s.tcp = true }

// IPv6 makes the server listen on ::1, with TCP, and skips the test where the
// machine has no such address.
func IPv6(s *settings) { s.tcp, s.host = true, "::1" }

// Hosts makes each server listen on an address that next returns, with TCP, and on
// another one after Cluster.Readdress.
func Hosts(next func() string) Option {
	return func(s *settings) {
		s.tcp, s.nextHost = true, next
		s.args = append(s.args, "--protected-mode", "no") // or it would listen to loopback addresses alone
	}
}

// Endpoints makes the nodes of a Cluster name each other to clients as Redis's
// cluster-preferred-endpoint-type says: "hostname", which is localhost then, or
// "unknown-endpoint".
func Endpoints(kind string) Option {
	return Args("--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", kind)
}

// Persist makes the server keep its data (an append-only file) when it is
// stopped or killed, so that Restart brings it back. Without it every restart
// is empty.
func Persist(s *settings) { s.persist = true }

// Password makes the server ask for password, which Server.Options and
// Server.Client then give, and replicas and Sentinels too.
func Password(password string) Option {
	return func(s *settings) { s.password = password }
}

// User adds an ACL user with the rules of Redis's ACL SETUSER, as in
// User("comet", "secret", "~comet:*", "&comet:*", "+@all"). Server.Options and
// Server.Client stay with the user default, who may do everything.
func User(name, password string, rules ...string) Option {
	user := append([]string{name, "on", ">" + password}, rules...)
	return func(s *settings) { s.users = append(s.users, user) }
}

// Args adds to redis-server's command line, as in
// Args("--maxmemory", "1mb"). They win over what this package sets.
func Args(args ...string) Option {
	return func(s *settings) { s.args = append(s.args, args...) }
}

// Replicas is how many replicas StartSentinel starts; default 1. Others ignore
// it.
func Replicas(n int) Option {
	return func(s *settings) { s.replicas = n }
}
