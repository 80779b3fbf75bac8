package redistest

import (
	"fmt"
	"testing"
)

func TestReplica(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]Option{
		"plain": {TCP},
		"tls":   {TLS(), Password("secret")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			primary := Start(t, options...)
			primary.Do("SET", "key", 1)
			replica := Replica(t, primary)
			if got := replica.Do("GET", "key"); got != "1" {
				t.Errorf("at the start the replica has %v", got)
			}
			primary.Do("SET", "key", 2)
			primary.AwaitReplica(replica)
			if got := replica.Do("GET", "key"); got != "2" {
				t.Errorf("later the replica has %v", got)
			}
			if _, err := replica.try("SET", "key", 3); err == nil {
				t.Error("a replica took a write")
			}
		})
	}
}

func TestReplicaOptions(t *testing.T) {
	t.Parallel()
	primary := Start(t, TCP, Args("--maxclients", "101"))
	for _, n := range []string{"7", "8"} {
		replica := Replica(t, primary, Args("--databases", n))
		for name, want := range map[string]string{"maxclients": "101", "databases": n} {
			if got := configured(replica, name); got != want {
				t.Errorf("replica has %s %s, want %s", name, got, want)
			}
		}
	}
}

// configured is one answer of CONFIG GET.
func configured(s *Server, name string) string {
	reply := s.Do("CONFIG", "GET", name).(map[any]any)
	return fmt.Sprint(reply[name])
}

// TestRolesStay restarts servers whose roles were exchanged.
func TestRolesStay(t *testing.T) {
	t.Parallel()
	a := Start(t, TCP, Persist, Password("secret"), User("other", "word", "+@all"))
	b := Replica(t, a)
	b.Promote()
	a.ReplicaOf(b.Addr())
	b.AwaitReplica(a)
	b.Do("SET", "key", "value")
	a.Restart()
	b.Restart()
	b.AwaitReplica(a)
	if got := a.Do("GET", "key"); got != "value" {
		t.Errorf("the new replica has %v", got)
	}
}

func TestKillLosing(t *testing.T) {
	t.Parallel()
	primary := Start(t, TCP)
	replicas := []*Server{Replica(t, primary), Replica(t, primary)}
	primary.Do("SET", "key", "kept")
	primary.KillLosing(func() {
		for i := range 10 {
			primary.Do("SET", "key", i)
		}
	}, replicas...)
	replicas[0].Promote()
	replicas[1].ReplicaOf(replicas[0].Addr())
	replicas[0].AwaitReplica(replicas[1])
	for _, r := range replicas {
		if got := r.Do("GET", "key"); got != "kept" {
			t.Errorf("got %v, want what was there before", got)
		}
	}
}
