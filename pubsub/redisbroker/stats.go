package redisbroker

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"comet/internal/metrics"
	"comet/pubsub"
)

// Operation is what Redis was asked to do.
type Operation string

// Everything that Redis is asked to do.
const (
	ToPublish  Operation = "publish"
	ToRead     Operation = "read"
	ToRelay    Operation = "relay"    // a relay connection failed
	ToProbe    Operation = "probe"    // a probe of one could not be published
	ToPresent  Operation = "presence" // see UpdateLeases and Members
	ToRegistry Operation = "nodes"    // see pubsub.NodeRegistry
)

// Kind is a kind of trouble with Redis.
type Kind string

// The kinds of trouble.
const (
	RefusedIt   Kind = "refused"     // it answered with an error
	TimedOut    Kind = "timeout"     // it did not answer in time
	Unreachable Kind = "unreachable" // no connection, or no primary was found
	NoneFree    Kind = "pool"        // no connection of the pool was free in time
	Changed     Kind = "changed"     // the primary is another one, or none any more
	TooFew      Kind = "replicas"    // fewer than Options.MinReplicas have a message in time
	Broken      Kind = "broken"      // the connection ended, or what came makes no sense
)

// Operations and Kinds are all there are.
var (
	Operations = []Operation{ToPublish, ToRead, ToRelay, ToProbe, ToPresent, ToRegistry}
	Kinds      = []Kind{RefusedIt, TimedOut, Unreachable, NoneFree, Changed, TooFew, Broken}
)

// kindOf sorts an error; ok is false for one that Redis has no part in.
func kindOf(err error) (kind Kind, ok bool) {
	var op *net.OpError
	var timeout net.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, pubsub.ErrClosed), errors.Is(err, redis.ErrClosed):
		return "", false
	case refused(err), isGreeting(err):
		return RefusedIt, true
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return NoneFree, true
	case errors.As(err, &op) && op.Op == "dial":
		return Unreachable, true
	case errors.Is(err, errTooFew):
		return TooFew, true
	case errors.Is(err, errGone), errors.Is(err, errReplaced), errors.Is(err, pubsub.ErrUnconfirmed), errors.Is(err, errReplica):
		return Changed, true
	case errors.Is(err, errDeaf), errors.Is(err, errSilent), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut, true
	}
	return Broken, true
}

// errorCounters are counts of errors.
type errorCounters map[Operation]*metrics.Counts[Kind]

func newErrorCounters() errorCounters {
	all := make(errorCounters)
	for _, o := range Operations {
		all[o] = metrics.NewCounts(Kinds...)
	}
	return all
}

// count counts err, if it is one.
func (t errorCounters) count(o Operation, err error) {
	if kind, ok := kindOf(err); ok {
		t[o].Add(kind, 1)
	}
}

// Stats is what a Broker has at the moment, and has counted since the start.
type Stats struct {
	// Errors has all operations and kinds. A publish or read counts for each
	// message or log, and presence for each channel.
	Errors map[Operation]map[Kind]int64
	// Foreign is what was found that is no message, each time that it was read.
	Foreign map[Place]int64
	Pool    PoolStats
	// Unconfirmed is for how long the takeover of another primary has not been
	// confirmed, the one that has waited longest; 0 if none waits.
	Unconfirmed time.Duration
}

// PoolStats is about the connections to the primaries that are known now, but
// for the relay's.
type PoolStats struct {
	Hits     int64 // commands that found an idle connection
	Misses   int64 // commands that did not
	Timeouts int64 // commands that waited in vain for one
	Idle     int
	Busy     int
}

// add adds a client's pools.
func (p *PoolStats) add(client *redis.Client) {
	pools := []*redis.PoolStats{client.PoolStats()}
	if pipelines := pools[0].PipelineStats; pipelines != nil {
		pools = append(pools, (*redis.PoolStats)(pipelines))
	}
	for _, s := range pools {
		p.Hits += int64(s.Hits)
		p.Misses += int64(s.Misses)
		p.Timeouts += int64(s.Timeouts)
		p.Idle += int(s.IdleConns)
		p.Busy += max(0, int(s.TotalConns)-int(s.IdleConns)) // not of one moment
	}
}

// Stats may be called at any time, also after Close; it asks nobody.
func (b *Broker) Stats() Stats {
	s := Stats{Errors: make(map[Operation]map[Kind]int64), Foreign: b.foreign.counts.Stats()}
	for _, o := range Operations {
		s.Errors[o] = b.errorCounts[o].Stats()
	}
	_, _, s.Unconfirmed = b.quorum.oldest()
	for _, p := range b.topology.known() {
		s.Pool.add(p.client)
	}
	return s
}
