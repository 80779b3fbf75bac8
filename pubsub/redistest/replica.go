package redistest

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"testing"
)

// Replica starts a server that follows of, which must listen on TCP, and
// returns when it has all that of had. It has the options of its
// primary and those given.
func Replica(t testing.TB, of *Server, options ...Option) *Server {
	t.Helper()
	if !of.tcp {
		t.Fatalf("a replica needs a primary on TCP: Start(t, redistest.TCP)")
	}
	settings := of.settings
	settings.users, settings.args = slices.Clip(settings.users), slices.Clip(settings.args) // options append
	host, port, _ := net.SplitHostPort(of.addr)
	settings.role = []directive{{"replicaof", host, port}}
	for _, option := range options {
		option(&settings)
	}
	s := startServer(t, settings)
	of.AwaitReplica(s)
	return s
}

// ReplicaOf makes the server follow the one at addr (of a Server, or of a
// Proxy to one), now and after every Restart. It does not wait for it.
func (s *Server) ReplicaOf(addr string) {
	s.t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		s.t.Fatalf("a replica needs a primary on TCP: %v", err)
	}
	s.Do("REPLICAOF", host, port)
	s.Do("CONFIG", "REWRITE")
}

// Promote makes a replica a primary, now and after every Restart.
func (s *Server) Promote() {
	s.t.Helper()
	s.Do("REPLICAOF", "NO", "ONE")
	s.Do("CONFIG", "REWRITE")
}

// AwaitReplica returns when replica has all that the server had when it was
// called.
func (s *Server) AwaitReplica(replica *Server) {
	s.t.Helper()
	had, err := s.offset()
	if err != nil {
		s.t.Fatalf("offset of the primary: %v", err)
	}
	await(s.t, "the replica has caught up", func() error { return s.followed(replica, had) })
}

// followed says why replica does not follow s up to the offset had.
func (s *Server) followed(replica *Server, had int64) error {
	if link, err := replica.info("replication", "master_link_status"); err != nil || link != "up" {
		return fmt.Errorf("its link is %q (%v)", link, err)
	}
	own, err1 := s.info("replication", "master_replid")
	its, err2 := replica.info("replication", "master_replid")
	if err1 != nil || err2 != nil || own != its {
		return fmt.Errorf("it is in history %s, not %s (%v, %v)", its, own, err2, err1)
	}
	has, err := replica.offset()
	if err != nil || has < had {
		return fmt.Errorf("it is at offset %d, not %d (%v)", has, had, err)
	}
	return nil
}

// offset is how far the server is in its replication history.
func (s *Server) offset() (int64, error) {
	text, err := s.info("replication", "master_repl_offset")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// KillLosing kills the server, a primary, so that none of replicas, which must
// be all of its replicas, has anything of what write did to it. They have what was there
// before write. Afterwards they run, and look for their primary.
func (s *Server) KillLosing(write func(), replicas ...*Server) {
	s.t.Helper()
	for _, r := range replicas {
		s.AwaitReplica(r)
		// Halted it cannot come back when its link is cut. Halting alone would
		// not do: its socket would keep what arrives.
		r.Freeze()
		defer r.Thaw()
	}
	s.Do("CLIENT", "KILL", "TYPE", "replica")
	write()
	s.Kill()
}
