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

// Operation is an operation on Redis.
type Operation string

// The operations.
const (
	ToPublish  Operation = "publish"
	ToRead     Operation = "read"
	ToRelay    Operation = "relay"    // a relay connection failed
	ToProbe    Operation = "probe"    // a probe of a relay connection could not be published
	ToPresent  Operation = "presence" // see UpdateLeases and Members
	ToRegistry Operation = "nodes"    // see pubsub.NodeRegistry
	ToRecord   Operation = "record"   // see pubsub.RecordStore
)

// Kind is a kind of error.
type Kind string

// The kinds of errors.
const (
	RefusedIt   Kind = "refused"     // Redis answered with an error
	TimedOut    Kind = "timeout"     // Redis did not answer in time
	Unreachable Kind = "unreachable" // no connection was made, or no primary was found
	NoneFree    Kind = "pool"        // no connection of the pool was free in time
	Changed     Kind = "changed"     // the primary was replaced, restarted or demoted
	TooFew      Kind = "replicas"    // fewer than Options.MinReplicas replicas had a message in time
	Broken      Kind = "broken"      // the connection ended, or an answer could not be decoded
)

// Operations and Kinds list all operations and kinds.
var (
	Operations = []Operation{ToPublish, ToRead, ToRelay, ToProbe, ToPresent, ToRegistry, ToRecord}
	Kinds      = []Kind{RefusedIt, TimedOut, Unreachable, NoneFree, Changed, TooFew, Broken}
)

// kindOf returns the kind of an error. ok is false if Redis did not cause it.
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

// errorCounters counts errors by operation and kind.
type errorCounters map[Operation]*metrics.Counts[Kind]

func newErrorCounters() errorCounters {
	all := make(errorCounters)
	for _, o := range Operations {
		all[o] = metrics.NewCounts(Kinds...)
	}
	return all
}

// count counts err unless it is nil or Redis did not cause it.
func (t errorCounters) count(o Operation, err error) {
	if kind, ok := kindOf(err); ok {
		t[o].Add(kind, 1)
	}
}

// Stats is the state of a Broker, and what it has counted since its start.
type Stats struct {
	// Errors has all operations and kinds. Publishes count per message, reads per log,
	// and presence per channel.
	Errors map[Operation]map[Kind]int64
	// Foreign is the number of entries found that are not messages. An entry counts each
	// time it is read.
	Foreign map[Place]int64
	Pool    PoolStats
	// Unconfirmed is the age of the oldest unconfirmed takeover; 0 without one.
	Unconfirmed time.Duration
}

// PoolStats is about the connections to the current primaries, without the relay's.
type PoolStats struct {
	Hits     int64 // commands that found an idle connection
	Misses   int64 // commands that did not
	Timeouts int64 // commands that waited for one until their timeout
	Idle     int
	Busy     int
}

// add adds the pools of a client.
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
		p.Busy += max(0, int(s.TotalConns)-int(s.IdleConns)) // the two may be of different moments
	}
}

// Stats returns the current Stats. It may be called at any time, also after Close, and
// does not ask Redis.
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
