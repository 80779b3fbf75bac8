package redisbroker_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"comet/internal/testenv"
	"comet/pubsub"
	"comet/pubsub/redistest"
)

// All nodes of a Redis Cluster come back at other addresses, and packets to the old ones
// are dropped; on loopback they would be refused at once. The nodes of Comet find them
// by a name that resolves to any of them, and deliver again soon.
func TestClusterDroppedAddresses(t *testing.T) {
	testenv.Large(t)
	if !inNetwork(t) {
		return
	}
	network := newDroppingNetwork(t)
	cluster := redistest.StartCluster(t, 3, 1, redistest.Persist, redistest.Hosts(network.host))
	service := redistest.StartProxy(t, cluster.Nodes()[0].Addr())
	options := reach(cluster)
	options.Timeout = 3 * time.Second // the default
	options.Addresses = append(options.Addresses[:2], service.Addr())
	c := newHarness(t, options)
	var channels []string
	for i := range 3 {
		channels = append(channels, channelAt(cluster, cluster.Nodes()[2*i], 0))
	}
	c.listen(channels...)
	c.say(channels...)
	c.awaitReceived()

	network.dropAll()
	cluster.ReaddressAll()
	service.Lead(cluster.Nodes()[0].Addr())
	began := time.Now()
	c.say(channels...)
	c.drain()
	c.awaitReady(0, true)
	c.awaitReady(1, true)
	took := time.Since(began)
	t.Logf("delivering again after %v", took)
	if took > time.Minute { // 3 s on a quiet machine; addresses tried one after another take minutes
		t.Errorf("delivering again %v after the cluster was well", took)
	}
	for _, l := range c.listeners {
		if reported := gaps(l.items); len(reported) != 1 || reported[0].Reason != pubsub.Failover {
			t.Errorf("%s: gaps %v, want one failover", l.name, reported)
		}
	}
}

// inNetwork reports whether t runs in its own network namespace. If not, it runs t in one,
// in another process, and fails or skips as that does.
func inNetwork(t *testing.T) bool {
	t.Helper()
	const variable = "COMET_TEST_NETWORK"
	if os.Getenv(variable) != "" {
		return true
	}
	ip := testenv.Program(t, "ip")
	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), variable+"="+ip)
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	out, err := again.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.ENOSPC):
		t.Skipf("a network of its own is not permitted here: %v", err)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	default:
		t.Logf("%s", out)
	}
	return false
}

// droppingNetwork is a network that drops packets to addresses that no host has any more.
type droppingNetwork struct {
	t     *testing.T
	ip    string
	hosts []string
	next  int
}

func newDroppingNetwork(t *testing.T) *droppingNetwork {
	t.Helper()
	n := &droppingNetwork{t: t, ip: os.Getenv("COMET_TEST_NETWORK"), next: 1}
	n.run("link set lo up")
	n.run("address add 198.18.255.1/32 dev lo")
	n.run("route add 198.18.0.0/16 dev lo") // packets to unused addresses come back here and are dropped
	return n
}

func (n *droppingNetwork) run(arguments string) {
	n.t.Helper()
	if out, err := exec.Command(n.ip, strings.Fields(arguments)...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v: %s", arguments, err, out)
	}
}

// host returns a new address of this machine.
func (n *droppingNetwork) host() string {
	n.t.Helper()
	host := fmt.Sprintf("198.18.0.%d", n.next)
	n.next++
	n.run("address add " + host + "/32 dev lo")
	n.hosts = append(n.hosts, host)
	return host
}

// dropAll removes all addresses.
func (n *droppingNetwork) dropAll() {
	n.t.Helper()
	for _, host := range n.hosts {
		n.run("address delete " + host + "/32 dev lo")
	}
	n.hosts = nil
}
