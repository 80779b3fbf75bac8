package redisbroker_test

import (
	"errors"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

func watch(s *redistest.Sentinel) redisbroker.Options {
	return redisbroker.Options{Addresses: s.Addresses(), Master: s.Master()}
}

// The replica that takes over has everything. That cannot be known, so a failover is
// reported, once, and nothing is missing.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t)
	c := newHarness(t, watch(sentinel))
	c.listen("a", "quiet")
	c.say("a", "quiet")
	c.awaitReceived()
	sentinel.Servers()[0].AwaitReplica(sentinel.Servers()[1])
	sentinel.Failover()
	c.awaitGaps(1)
	c.flood("a")
	c.awaitMore(50)
	c.say("quiet")
	c.drain()
	c.verify(pubsub.Failover)
}

// The replica that takes over lacks the newest writes, which were acknowledged
// and seen, and its clock is behind: what it takes stands before them.
func TestSentinelFailoverLosing(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t, redistest.Clock(0))
	old, replica := sentinel.Servers()[0], sentinel.Servers()[1]
	c := newHarness(t, watch(sentinel))
	c.listen("seen", "unseen", "quiet")
	c.say("seen", "unseen", "quiet")
	c.awaitReceived()
	kept := c.log("seen").End
	var lost pubsub.ID
	old.KillLosing(func() {
		for range 3 {
			c.say("seen")
		}
		c.awaitReceived()
		lost = c.log("seen").End
		// As publish.lua writes it, but for the relay.
		prev := c.log("unseen").End
		unseen := pubsub.NextID(prev, uint64(time.Now().UnixMilli()), prev.Epoch)
		old.Do("XADD", "comet:{unseen}:log", unseen.String(), "prev", prev.String(), "type", "message", "data", "1")
	}, replica)
	replica.SetClock(-5 * time.Second)
	sentinel.AwaitPrimaryOther(old)
	c.awaitGaps(1) // at once, and nothing was published yet
	for range 5 {
		c.say("seen", "unseen", "quiet")
	}
	c.awaitReceived()
	old.Restart() // as a replica
	c.say("seen")
	c.awaitReceived()
	for _, l := range c.listeners {
		reason := pubsub.Failover
		if l.channel == "seen" {
			reason = pubsub.Rewound
			if g := gaps(l.items)[0]; g.From != lost || g.To != kept {
				t.Errorf("%s: gap %+v, want from %v to %v", l.name, g, lost, kept)
			}
		}
		l.judge(ids(c.log(l.channel)), []pubsub.Reason{reason})
	}
}

// Clients that were away at the failover get a gap when they resume, with any cursor.
func TestSentinelFailoverLosingResume(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t)
	old := sentinel.Servers()[0]
	c := newHarness(t, watch(sentinel))
	c.say("a", "a", "a")
	kept := c.log("a")
	var lost *pubsub.Page
	old.KillLosing(func() {
		c.say("a", "a")
		lost = c.log("a")
	}, sentinel.Servers()[1])
	sentinel.AwaitPrimaryOther(old)
	c.say("a", "a")
	log := c.log("a")
	for i, m := range lost.Messages {
		l := listenFrom(t, "from "+m.ID.String(), "a", pubsub.CursorAfter(m.ID), 0, c.nodes[i%2])
		l.awaitID(log.End)
		want := pubsub.Gap{Channel: "a", From: kept.End, To: kept.End, Reason: pubsub.Failover}
		if i >= len(kept.Messages) {
			want.From, want.Reason = m.ID, pubsub.Rewound
		}
		if reported := gaps(l.items); len(reported) != 1 || reported[0] != want {
			t.Errorf("%s: got %v, want %v", l.name, reported, want)
		}
	}
}

// With MinReplicas replicas nothing acknowledged is lost, so no gap is reported.
func TestSentinelMinReplicas(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t)
	old, replica := sentinel.Servers()[0], sentinel.Servers()[1]
	options := watch(sentinel)
	options.MinReplicas = 1
	c := newHarness(t, options)
	c.listen("a", "quiet")
	c.say("quiet")
	c.flood("a")
	c.awaitMore(50)
	c.drain()
	replica.Freeze()
	took, err := c.try(c.nodes[0], "other")
	if !errors.Is(err, pubsub.ErrOutcomeUnknown) || took < timeout/2 {
		t.Errorf("with the replica frozen: publish answered %v after %v, want ErrOutcomeUnknown", err, took)
	}
	replica.Thaw()
	c.say("a")
	c.awaitOldServers()
	old.Kill()
	sentinel.AwaitPrimaryOther(old)
	old.Restart()
	c.flood("a")
	c.awaitMore(50)
	c.say("quiet")
	c.drain()
	c.verify()
}

// With more replicas than MinReplicas a takeover is reported, even if only one of them was
// connected at the newest probe: another may reconnect with less data, and take over
// after the first one has acknowledged more.
func TestSentinelReplicaAway(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t, redistest.Replicas(2))
	old, away := sentinel.Servers()[0], sentinel.Servers()[2]
	options := watch(sentinel)
	options.MinReplicas = 1
	c := newHarness(t, options)
	away.Kill()
	c.listen("a")
	c.say("a")
	kept := c.log("a").End
	c.awaitOldServers()
	old.Kill()
	sentinel.AwaitPrimaryOther(old)
	away.Restart()
	c.awaitProbe()
	l := listenFrom(t, "a client that resumes", "a", pubsub.CursorAfter(kept), 0, c.nodes[0])
	c.say("a")
	l.awaitID(c.log("a").End)
	if reported := gaps(l.items); len(reported) != 1 || reported[0].Reason != pubsub.Failover {
		t.Errorf("reported %v, want a failover", reported)
	}
}
