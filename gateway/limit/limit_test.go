package limit

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// wantLimit checks which limit err names; Limits for no error.
func wantLimit(t *testing.T, what string, err error, want Limit, wait time.Duration) {
	t.Helper()
	e, _ := errors.AsType[*Exceeded](err)
	switch {
	case want == Limits:
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	case e == nil:
		t.Errorf("%s: got %v, want %v", what, err, want)
	case e.Limit != want || (e.Wait-wait).Abs() > time.Microsecond:
		t.Errorf("%s: got %v and a wait of %v, want %v and %v", what, e.Limit, e.Wait, want, wait)
	}
}

// Two users at one address, one of them also at another, and an anonymous client.
var (
	home      = netip.MustParseAddr("203.0.113.9")
	alice     = Client{Address: home, User: "alice"}
	bob       = Client{Address: home, User: "bob"}
	aliceAway = Client{Address: netip.MustParseAddr("198.51.100.1"), User: "alice"}
	anonymous = Client{Address: home}
)

func TestConnect(t *testing.T) {
	l := New(Options{AddressConnections: 3, UserConnections: 2})
	wantLimit(t, "alice", l.Connect(alice), Limits, 0)
	wantLimit(t, "alice away", l.Connect(aliceAway), Limits, 0)
	for range 5 { // to be refused leaves nothing behind
		wantLimit(t, "alice's third", l.Connect(alice), UserConnections, 0)
	}
	wantLimit(t, "bob", l.Connect(bob), Limits, 0)
	wantLimit(t, "anonymous", l.Connect(anonymous), Limits, 0)
	wantLimit(t, "the fourth there", l.Connect(anonymous), AddressConnections, 0)
	l.Disconnect(anonymous)
	wantLimit(t, "anonymous again", l.Connect(anonymous), Limits, 0)
	for _, c := range []Client{alice, aliceAway, bob, anonymous} {
		l.Disconnect(c)
	}
	if len(l.addresses.byKey)+len(l.users.byKey) != 0 {
		t.Errorf("remembers %v and %v", l.addresses.byKey, l.users.byKey)
	}
}

// A trusted client is never counted, and takes nothing from others.
func TestTrusted(t *testing.T) {
	l := New(Options{AddressConnections: 1, UserConnections: 1, AddressRequests: Rate{PerSecond: 1}, UserRequests: Rate{PerSecond: 1},
		AddressPublishes: Rate{PerSecond: 1}, UserPublishes: Rate{PerSecond: 1}})
	backend := Client{Address: home, User: "alice", Trusted: true}
	for range 5 {
		wantLimit(t, "connect", l.Connect(backend), Limits, 0)
		wantLimit(t, "request", l.Request(backend), Limits, 0)
		wantLimit(t, "publish", l.Publish(backend, 100), Limits, 0)
	}
	wantLimit(t, "alice", l.Connect(alice), Limits, 0)
	l.Disconnect(backend)
	wantLimit(t, "alice's second", l.Connect(alice), AddressConnections, 0)
}

// TestRequest: one user's flood takes nothing from others at the address.
func TestRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{UserRequests: Rate{PerSecond: 2}, AddressRequests: Rate{PerSecond: 5}})
		for range 2 {
			wantLimit(t, "alice", l.Request(alice), Limits, 0)
		}
		for range 100 {
			wantLimit(t, "alice's flood", l.Request(alice), UserRequests, 500*time.Millisecond)
		}
		wantLimit(t, "alice away", l.Request(aliceAway), UserRequests, 500*time.Millisecond)
		for range 2 {
			wantLimit(t, "bob", l.Request(bob), Limits, 0)
		}
		wantLimit(t, "anonymous", l.Request(anonymous), Limits, 0)
		wantLimit(t, "anonymous's second", l.Request(anonymous), AddressRequests, 200*time.Millisecond)
	})
}

func TestPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{UserPublishes: Rate{PerSecond: 10}, AddressPublishes: Rate{PerSecond: 10}})
		wantLimit(t, "alice", l.Publish(alice, 10), Limits, 0)
		wantLimit(t, "alice's next", l.Publish(alice, 1), UserPublishes, 100*time.Millisecond)
		wantLimit(t, "bob", l.Publish(bob, 5), AddressPublishes, 500*time.Millisecond)
		wantLimit(t, "a request", l.Request(alice), Limits, 0)
	})
}

func TestNoLimits(t *testing.T) {
	l := New(Options{})
	for range 1000 {
		if err := errors.Join(l.Connect(alice), l.Request(alice), l.Publish(alice, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	l.Disconnect(alice)
}

func TestStats(t *testing.T) {
	l := New(Options{UserConnections: 1, AddressRequests: Rate{PerSecond: 1e-6}, Keys: 1})
	_ = l.Connect(alice)
	err := l.Connect(alice)
	if s := l.Stats(); s != (Stats{}) {
		t.Errorf("%+v before Count", s)
	}
	l.Count(err)
	l.Count(fmt.Errorf("subscribe: %w", err))
	l.Count(errors.New("other"))
	l.Count(nil)
	_, _ = l.Request(alice), l.Request(aliceAway)
	want := Stats{Pardons: 1}
	want.Refused[UserConnections] = 2
	if s := l.Stats(); s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
}

func TestLimitNames(t *testing.T) {
	seen := map[string]bool{}
	for l := range Limits {
		if seen[l.String()] || l.String() == "" {
			t.Errorf("limit %d is %q", int(l), l.String())
		}
		seen[l.String()] = true
	}
	for want, e := range map[string]*Exceeded{
		"over the limit user-connections":                   {Limit: UserConnections},
		"over the limit address-publishes for another 1.5s": {AddressPublishes, 1500 * time.Millisecond},
	} {
		if e.Error() != want {
			t.Errorf("got %q, want %q", e.Error(), want)
		}
	}
}
