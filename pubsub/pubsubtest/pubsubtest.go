// Package pubsubtest is what every pubsub.Broker must do, as tests. They run
// through pubsub.Hub, because what users are promised is the two together.
package pubsubtest

import (
	"cmp"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"comet/internal/testenv"
	"comet/pubsub"
)

// Options are how a test wants the logs kept.
type Options struct {
	Size int           // messages per channel
	TTL  time.Duration // of a log
	// Retention is instead of Size and TTL, unless it is nil.
	Retention func(channel string) (size int, ttl time.Duration)
	// Index says which channels have index logs.
	Index *pubsub.Index
	// Alone: the test breaks the store, or the relay, that others could share. All
	// other clusters may share one store, if they see nothing of each other.
	Alone bool
}

// Cluster is what the nodes of one test share. A function that the broker has
// no equivalent for is nil, and tests that need it are skipped by name. All but
// Node, Append and Occupy are called with Options.Alone only.
type Cluster struct {
	// Node joins a node; the suite closes it.
	Node func() pubsub.Broker
	// CutRelay breaks every node's relay.
	CutRelay func()
	// Wipe removes all data while everything stays connected.
	Wipe func()
	// Restart ends the shared store and starts it again with its data, or
	// empty.
	Restart func(empty bool)
	// Append adds something that is no message to a channel's log, and Occupy puts
	// something that is no log in its place.
	Append, Occupy func(channel string)
	// Freeze keeps the primary of a channel from answering while others do, and
	// FreezeAll all, until thaw.
	Freeze    func(channel string) (thaw func())
	FreezeAll func() (thaw func())
	// Replace puts another in the place of the channel's primary.
	Replace func(channel string)
	// Stop and Start take the shared store away for a while; data is lost.
	Stop, Start func()
}

// New makes a cluster that lives as long as its test.
type New func(t *testing.T, o Options) *Cluster

// Run runs the suite.
func Run(t *testing.T, newCluster New) {
	tests := []struct {
		name string
		run  func(t *testing.T, newCluster New)
	}{
		{"Order", testOrder},
		{"TwoNodes", testTwoNodes},
		{"PublishDuringSubscribe", testPublishDuringSubscribe},
		{"ConcurrentPublishers", testConcurrentPublishers},
		{"Batch", testBatch},
		{"Idempotent", testIdempotent},
		{"KeyOwner", testKeyOwner},
		{"Ephemeral", testEphemeral},
		{"Invalid", testInvalid},
		{"Trace", testTrace},
		{"Sender", testSender},
		{"TagsIdempotent", testTagsIdempotent},
		{"Read", testRead},
		{"ReadBounded", testReadBounded},
		{"FromLast", testFromLast},
		{"FromEarliest", testFromEarliest},
		{"ResumeEverywhere", testResumeEverywhere},
		{"ResumeBeforeFirst", testResumeBeforeFirst},
		{"ComeAndGo", testComeAndGo},
		{"StoppedReader", testStoppedReader},
		{"SeveralChannels", testSeveralChannels},
		{"Trimmed", testTrimmed},
		{"Expired", testExpired},
		{"ExpiredFromEmpty", testExpiredFromEmpty},
		{"ExpiredUnderSubscriber", testExpiredUnderSubscriber},
		{"Retention", testRetention},
		{"RetentionChanges", testRetentionChanges},
		{"Wiped", testWiped},
		{"RelayCut", testRelayCut},
		{"RestartEmpty", testRestartEmpty},
		{"RestartWithData", testRestartWithData},
		{"EpochChanged", testEpochChanged},
		{"Away", testAway},
		{"CloseAnytime", testCloseAnytime},
		{"Cancelled", testCancelled},
		{"Isolation", testIsolation},
		{"Pattern", testPattern},
		{"PatternResume", testPatternResume},
		{"PatternFrom", testPatternFrom},
		{"PatternTrimmed", testPatternTrimmed},
		{"PatternRelayCut", testPatternRelayCut},
		{"PatternRestartEmpty", testPatternRestartEmpty},
		{"PatternRestartWithData", testPatternRestartWithData},
		{"PatternOccupied", testPatternOccupied},
		{"Registry", testRegistry},
		{"RegistryAsked", testRegistryAsked},
		{"RegistryExpires", testRegistryExpires},
		{"RegistryWiped", testRegistryWiped},
		{"Records", testRecords},
		{"RecordExpires", testRecordExpires},
		{"RecordConcurrent", testRecordConcurrent},
		{"PresenceOnce", testPresenceOnce},
		{"PresenceGrace", testPresenceGrace},
		{"PresencePages", testPresencePages},
		{"PresenceBounded", testPresenceBounded},
		{"PresenceNodeDies", testPresenceNodeDies},
		{"PresenceNodeCloses", testPresenceNodeCloses},
		{"PresenceWiped", testPresenceWiped},
		{"PresenceRestartEmpty", testPresenceRestartEmpty},
		{"PresenceRestartWithData", testPresenceRestartWithData},
		{"PresenceAway", testPresenceAway},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, newCluster)
		})
	}
}

// patience bounds every wait of the suite; nothing takes so long by right.
const patience = testenv.Patience

// node is a hub over a broker of its own, closed at the end of the test.
func node(t *testing.T, c *Cluster) *pubsub.Hub {
	return nodeWith(t, c, pubsub.Options{})
}

func nodeWith(t *testing.T, c *Cluster, o pubsub.Options) *pubsub.Hub {
	t.Helper()
	return hubOver(t, c.Node(), o)
}

func hubOver(t *testing.T, b pubsub.Broker, o pubsub.Options) *pubsub.Hub {
	t.Helper()
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Timeout = cmp.Or(o.Timeout, 15*time.Second) // a busy machine takes longer than the default
	hub := pubsub.NewHub(b, o)
	t.Cleanup(func() {
		hub.Close()
		if err := b.Close(); err != nil {
			t.Errorf("close broker: %v", err)
		}
	})
	return hub
}

// need skips a test whose broker cannot do what it takes.
func need(t *testing.T, can bool, what string) {
	t.Helper()
	if !can {
		t.Skipf("this broker has no way to %s", what)
	}
}

var (
	small = Options{Size: 10_000, TTL: time.Hour}
	alone = Options{Size: 10_000, TTL: time.Hour, Alone: true}
)

// number is the Data of the i-th message of a test.
func number(i int) []byte { return fmt.Append(nil, i) }
