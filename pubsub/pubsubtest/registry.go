package pubsubtest

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"comet/pubsub"
)

// registryOf is the registry as a node of its own sees it.
func registryOf(t *testing.T, c *Cluster) pubsub.NodeRegistry {
	t.Helper()
	b := c.Node()
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close broker: %v", err)
		}
	})
	return b
}

// announce puts a report there for as long as any test takes, unless ttl says
// otherwise.
func announce(t *testing.T, b pubsub.NodeRegistry, r pubsub.NodeReport, ttl ...time.Duration) (asked bool) {
	t.Helper()
	asked, err := b.Announce(t.Context(), r, append(ttl, time.Hour)[0])
	if err != nil {
		t.Fatal(err)
	}
	return asked
}

func wantNodes(t *testing.T, b pubsub.NodeRegistry, ask bool, want ...pubsub.NodeReport) {
	t.Helper()
	got, err := b.Nodes(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("on the registry are %s, want %s", got, want)
	}
}

// Every node can read a node's report, to the byte, until that node replaces or
// withdraws it.
func testRegistry(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := registryOf(t, c), registryOf(t, c)
	wantNodes(t, a, false)
	one := pubsub.NodeReport{Node: "one", Report: []byte("\x00\xff{}\r\n")}
	two := pubsub.NodeReport{Node: "two é", Report: bytes.Repeat([]byte("x"), pubsub.MaxReportBytes)}
	announce(t, b, two)
	announce(t, a, one)
	for _, registry := range []pubsub.NodeRegistry{a, b} {
		wantNodes(t, registry, false, one, two)
	}
	one.Report = []byte("later")
	announce(t, a, one)
	wantNodes(t, b, false, one, two)
	if err := b.Withdraw(t.Context(), "two é"); err != nil {
		t.Fatal(err)
	}
	wantNodes(t, a, false, one)
	if err := b.Withdraw(t.Context(), "unknown"); err != nil {
		t.Errorf("withdraw a node that is not there: %v", err)
	}
	for _, bad := range []pubsub.NodeReport{
		{Report: []byte("r")},
		{Node: strings.Repeat("n", 256), Report: []byte("r")},
		{Node: "n"},
		{Node: "n", Report: make([]byte, pubsub.MaxReportBytes+1)},
		{Node: "n", Report: []byte("r"), Channels: make([]byte, pubsub.MaxReportBytes+1)},
	} {
		if _, err := a.Announce(t.Context(), bad, time.Hour); !isInvalid(err) {
			t.Errorf("%d, %d, %d bytes: %v, want an InvalidError", len(bad.Node), len(bad.Report), len(bad.Channels), err)
		}
	}
}

func isInvalid(err error) bool {
	_, ok := errors.AsType[*pubsub.InvalidError](err)
	return ok
}

// A node reports its channels only after a request, and a request to any node
// reaches all.
func testRegistryAsked(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := registryOf(t, c), registryOf(t, c)
	r := pubsub.NodeReport{Node: "one", Report: []byte("r")}
	if announce(t, a, r) {
		t.Error("asked before anybody did")
	}
	wantNodes(t, b, true, r)
	if !announce(t, a, r) {
		t.Error("not asked")
	}
	withChannels := r
	withChannels.Channels = []byte("\x00channels")
	announce(t, a, withChannels)
	wantNodes(t, b, true, withChannels)
	announce(t, a, r)
	wantNodes(t, b, false, r)
}

// A node that does not announce itself is gone, and the others stay.
func testRegistryExpires(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	b := registryOf(t, c)
	stays, goes := pubsub.NodeReport{Node: "stays", Report: []byte("r")}, pubsub.NodeReport{Node: "goes", Report: []byte("r")}
	const ttl = 300 * time.Millisecond
	announce(t, b, stays)
	announced := time.Now()
	announce(t, b, goes, ttl)
	eventually(t, "a node that does not announce itself is gone", func() bool {
		all, err := b.Nodes(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		return len(all) == 1 && all[0].Node == "stays"
	})
	if took := time.Since(announced); took < ttl {
		t.Errorf("gone after %v, want %v", took, ttl)
	}
	announce(t, b, goes)
	wantNodes(t, b, false, goes, stays)
}

// The registry is made of what nodes say again.
func testRegistryWiped(t *testing.T, newCluster New) {
	c := newCluster(t, alone)
	need(t, c.Wipe != nil, "wipe its data")
	b := registryOf(t, c)
	r := pubsub.NodeReport{Node: "one", Report: []byte("r")}
	announce(t, b, r)
	wantNodes(t, b, true, r)
	c.Wipe()
	wantNodes(t, b, false)
	if announce(t, b, r) {
		t.Error("still asked")
	}
	wantNodes(t, b, false, r)
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	late := time.After(patience)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
