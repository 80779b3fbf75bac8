package limit

import (
	"net/netip"
	"testing"
)

// change is a test's step: another limit, or what a client does under it.
type change struct {
	limit   int // of connections, of each user
	connect int // number of new connections
	refused bool
	leave   int // number of connections that end, the oldest first
}

// Limits of connections change while some are open: counted connections stay counted,
// and only those are uncounted at their end.
func TestChangeConnections(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string][]change{
		"lowered":            {{limit: 3, connect: 3}, {limit: 1, refused: true}, {limit: 1, leave: 2, refused: true}, {limit: 1, leave: 1, connect: 1}},
		"raised":             {{limit: 1, connect: 1, refused: true}, {limit: 2, connect: 1, refused: true}},
		"turned on":          {{limit: 0, connect: 5}, {limit: 1, connect: 1, refused: true}, {limit: 1, leave: 5, refused: true}, {limit: 1, leave: 1, connect: 1}},
		"turned off":         {{limit: 2, connect: 2, refused: true}, {limit: 0, connect: 9}, {limit: 0, leave: 11}},
		"turned off and on":  {{limit: 2, connect: 2}, {limit: 0, connect: 1}, {limit: 2, connect: 2, refused: true}, {limit: 2, leave: 3, refused: true}, {limit: 2, leave: 2, connect: 2}},
		"changed and so on":  {{limit: 5, connect: 2}, {limit: 4, connect: 2, refused: true}, {limit: 5, connect: 1, refused: true}, {limit: 1, leave: 4, refused: true}, {limit: 1, leave: 1, connect: 1}},
		"changed to the own": {{limit: 1, connect: 1}, {limit: 1, refused: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Client{User: "alice", Address: netip.MustParseAddr("192.0.2.1")}
			l := New(Options{})
			var open []*Connections
			for i, step := range changes {
				l = l.Change(Options{UserConnections: step.limit})
				for range step.leave {
					open[0].Disconnect(c)
					open = open[1:]
				}
				for range step.connect {
					if err := l.Connect(c); err != nil {
						t.Fatalf("step %d: %v", i, err)
					}
					open = append(open, l.Connections)
				}
				if step.refused {
					if l.Connect(c) == nil {
						t.Fatalf("step %d: one more was accepted", i)
					}
				}
			}
			for _, from := range open {
				from.Disconnect(c)
			}
			if n := len(l.users.byKey); n != 0 {
				t.Errorf("%d users are counted, and none is there", n)
			}
		})
	}
}

// A changed rate begins with full buckets, an unchanged one goes on.
func TestChangeRates(t *testing.T) {
	t.Parallel()
	slow := Rate{PerSecond: 0.001, Burst: 1}
	c := Client{User: "alice"}
	l := New(Options{UserRequests: slow, UserPublishes: slow})
	if err := l.Request(c); err != nil {
		t.Fatal(err)
	}
	if err := l.Publish(c, 1); err != nil {
		t.Fatal(err)
	}
	l.Count(l.Request(c))
	l = l.Change(Options{UserRequests: slow, UserPublishes: Rate{PerSecond: 0.001, Burst: 2}})
	if l.Request(c) == nil {
		t.Error("an unchanged rate was reset")
	}
	for range 2 {
		if err := l.Publish(c, 1); err != nil {
			t.Errorf("a rate that changed: %v", err)
		}
	}
	if l.Publish(c, 1) == nil {
		t.Error("the new rate has no effect")
	}
	if n := l.Stats().Refused[UserRequests]; n != 1 {
		t.Errorf("%d were refused, want 1", n)
	}
	if l = l.Change(Options{}); l.Request(c) != nil || l.Publish(c, 9) != nil {
		t.Error("without limits somebody is refused")
	}
}
