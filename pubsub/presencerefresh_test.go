package pubsub_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"comet/pubsub"
)

// switched is a presence whose only channel may have it or not.
type switched struct {
	*pubsub.Presence
	broker cut
	has    atomic.Bool
}

func (s *stage) switched() *switched {
	p := &switched{broker: cut{Broker: s.cluster.Node()}}
	p.has.Store(true)
	p.Presence = pubsub.NewPresence(&p.broker, pubsub.PresenceOptions{Enabled: func(string) bool { return p.has.Load() }})
	p.ChannelOpened("c")
	return p
}

func (p *switched) set(has bool) {
	p.has.Store(has)
	p.DropDisabled()
	p.ChannelOpened("c") // as of every open channel
}

// A channel that has no presence any more gets no joins and leaves, not even those
// that the broker has missed.
func TestPresenceRefreshOff(t *testing.T) {
	t.Parallel()
	for _, away := range []bool{false, true} { // the broker, when somebody comes
		synctest.Test(t, func(t *testing.T) { testRefreshOff(t, away) })
	}
}

func testRefreshOff(t *testing.T, away bool) {
	s := newStage(t)
	p := s.switched()
	defer p.Close()
	alice := s.join(p.Presence, "alice")
	bob := s.join(p.Presence, "bob")
	s.want(time.Second, "+alice +bob")
	p.Leave(bob) // and his grace runs
	p.broker.set(away)
	s.join(p.Presence, "carol")
	s.want(time.Second, map[bool]string{false: "+carol"}[away])
	p.set(false)
	p.broker.takeCalls()
	p.broker.set(false)
	p.Leave(alice)
	if _, ok := p.Join("c", "dave", nil); ok {
		t.Error("somebody came in")
	}
	s.want(time.Hour, "")
	if calls := p.broker.takeCalls(); len(calls) > 0 {
		t.Errorf("%d calls of the broker", len(calls))
	}
	if got := s.members(p.Presence); len(got) > 0 {
		t.Errorf("there are %q", got)
	}

	p.set(true)
	s.want(time.Minute, "") // who was there before does not count
	erin := s.join(p.Presence, "erin")
	s.want(0, "+erin")
	p.Leave(erin)
	s.want(time.Minute, "-erin")
}

// A channel that has presence again, before anybody noticed that it had none:
// who came back meanwhile has been there all the time.
func TestPresenceRefreshShortly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		p := s.switched()
		defer p.Close()
		before := s.join(p.Presence, "alice")
		s.join(p.Presence, "bob")
		s.want(time.Second, "+alice +bob")
		p.set(false)
		s.want(time.Second, "")
		p.set(true)
		s.join(p.Presence, "alice")
		p.Leave(before)
		s.want(10*time.Second, "")
		s.want(20*time.Second, "-bob")
		s.want(time.Hour, "")
		if got := s.members(p.Presence); !slices.Equal(got, []string{"alice"}) {
			t.Errorf("there are %q", got)
		}
	})
}

// A node whose rules change later goes on: it sees to the leases of those that
// have let go.
func TestPresenceRefreshOneNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		first, second := s.switched(), s.switched()
		defer first.Close()
		defer second.Close()
		s.join(first.Presence, "alice")
		s.join(second.Presence, "bob")
		time.Sleep(time.Minute)
		synctest.Wait()
		s.events.takeAll()
		first.set(false)
		s.want(10*time.Second, "") // time for the others to change too
		s.want(20*time.Second, "-alice")
		second.set(false)
		s.want(time.Hour, "")
	})
}
