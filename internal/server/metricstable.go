package server

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"comet/gateway/conn"
	"comet/gateway/limit"
	"comet/pubsub"
	"comet/pubsub/redisbroker"
)

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// Values of the label reason of comet_connections_limit and
// comet_connections_refused_total.
const (
	reasonDescriptors = "descriptors"
	reasonLimit       = "limit"
)

// metricTable is every metric of Comet's own; docs/operations.md has the same table.
var metricTable = []metric{
	{name: "comet_build_info", kind: gauge, labels: []string{"version", "go"},
		help:    "Always 1; the version of Comet, and of the Go that built it.",
		collect: func(s *snapshot, e emitter) { e.count(1, s.node.build.String(), runtime.Version()) }},
	{name: "comet_ready", kind: gauge,
		help:    "1 while the node should get new clients, as GET /readyz says; else 0.",
		collect: func(s *snapshot, e emitter) { e.truth(s.node.readiness().Ready) }},
	{name: "comet_draining_seconds", kind: gauge,
		help:    "How long the node has been leaving; 0 if it does not.",
		collect: func(s *snapshot, e emitter) { e.value(s.node.draining().Seconds()) }},

	{name: "comet_connections", kind: gauge, labels: []string{"transport", "state"},
		help:    "Open connections of clients, whatever they wait for; over HTTP/2 each stream or poll counts as one.",
		collect: collectConnections},
	{name: "comet_connections_limit", kind: gauge, labels: []string{"reason"},
		help: "How many there may be before more are refused: connections for the descriptors (ulimit -n), or streams and polls for the limit (limits.connections; 0: any number).",
		collect: func(s *snapshot, e emitter) {
			e.count(s.node.listener.Limit(), reasonDescriptors)
			e.count(int64(s.node.gateway.Policy().Limits.Connections), reasonLimit)
		}},
	{name: "comet_connections_refused_total", kind: counter, labels: []string{"reason"},
		help: "Refused by reason: connections over the descriptors (ulimit -n), or streams and polls over the limit (limits.connections).",
		collect: func(s *snapshot, e emitter) {
			e.count(s.listener.Refused, reasonDescriptors)
			e.count(s.gateway.Refused, reasonLimit)
		}},
	{name: "comet_idle_connections_closed_total", kind: counter,
		help:    "Idle connections that were closed to make room for others, of the same address or as the descriptors were nearly used up.",
		collect: func(s *snapshot, e emitter) { e.count(s.listener.Closed) }},
	{name: "comet_connects_total", kind: counter, labels: []string{"transport"},
		help:    "Streams and polls that began.",
		collect: func(s *snapshot, e emitter) { emitTransports(e, s.gateway.Connects) }},
	{name: "comet_disconnects_total", kind: counter, labels: []string{"transport", "reason"},
		help: "Streams and polls that ended, by why; slow are subscribers that took too long and must catch up from the log.",
		collect: func(s *snapshot, e emitter) {
			for t := range conn.Transport(conn.Transports) {
				emitAll(e, s.gateway.Disconnects[t], t.String())
			}
		}},
	{name: "comet_replays", kind: gauge, labels: []string{"state"},
		help: "Clients that read the log, or wait for their turn to; how many may read it at a time follows from limits.replay_memory.",
		collect: func(s *snapshot, e emitter) {
			replays := s.node.gateway.Replays()
			e.count(int64(replays.Running), "running")
			e.count(int64(replays.Waiting), "waiting")
		}},
	{name: "comet_limit_hits_total", kind: counter, labels: []string{"limit"},
		help: "Requests, streams, polls and publishes that were refused because a client met its limit.",
		collect: func(s *snapshot, e emitter) {
			hits := s.node.gateway.Policy().Limiter.Stats().Refused
			for l := range limit.Limits {
				n := hits[l]
				if l == limit.AddressConnections {
					n += s.listener.AddressRefused
				}
				e.count(n, l.String())
			}
		}},

	{name: "comet_publishes_total", kind: counter, labels: []string{"outcome"},
		help: "Messages that this node was asked to publish, by what became of them; revocations among them, and not what nodes say of themselves.",
		collect: func(s *snapshot, e emitter) {
			all := s.hub.Publishes
			all[pubsub.Refused] += s.gateway.PublishesRefused
			emitAll(e, all)
		}},
	{name: "comet_deliveries_total", kind: counter, labels: []string{"transport"},
		help:    "Messages written to subscribers.",
		collect: func(s *snapshot, e emitter) { emitTransports(e, s.held.Messages) }},
	{name: "comet_written_bytes_total", kind: counter, labels: []string{"transport"},
		help:    "Bytes written to streams and polls, before TLS and HTTP/2; of what a goroutine holds the bodies alone.",
		collect: func(s *snapshot, e emitter) { emitTransports(e, s.held.Bytes) }},
	{name: "comet_gzip_bytes_total", kind: counter, labels: []string{"form"},
		help: "Bytes of streams with gzip (http.compress): the events before compression (content), and what was written for them (written), which is in comet_written_bytes_total too.",
		collect: func(s *snapshot, e emitter) {
			e.count(s.held.Gzip.Content, "content")
			e.count(s.held.Gzip.Written, "written")
		}},
	{name: "comet_publish_relay_seconds",
		help:    "From the beginning of a publish at this node until the relay brought its message back here, by this node's clock alone; of a sample, on channels that are open here.",
		collect: func(s *snapshot, e emitter) { e.latency(s.hub.Relay) }},
	{name: "comet_publish_written_seconds",
		help:    "From the beginning of a publish at this node until its message was written to this node's subscribers, by this node's clock alone; of a sample, once for each walk of a writer and not for each subscriber.",
		collect: func(s *snapshot, e emitter) { e.latency(s.held.WriteLatency) }},

	{name: "comet_pattern_subscribers", kind: gauge,
		help:    "Subscribers of patterns here, each counted once per pattern. `comet status` has the numbers per pattern.",
		collect: func(s *snapshot, e emitter) { e.count(int64(s.hub.PatternSubscribers)) }},
	{name: "comet_channels", kind: gauge,
		help:    "Channels that are open here, each with a tail: those that have subscribers, or had them some seconds ago, and the nodes' own.",
		collect: func(s *snapshot, e emitter) { e.count(int64(s.hub.Channels)) }},
	{name: "comet_tail_items", kind: gauge,
		help:    "Messages and gaps in all tails.",
		collect: func(s *snapshot, e emitter) { e.count(int64(s.hub.TailItems)) }},
	{name: "comet_tail_bytes", kind: gauge,
		help:    "Memory that the items of all tails take, about.",
		collect: func(s *snapshot, e emitter) { e.count(int64(s.hub.TailBytes)) }},
	{name: "comet_resumes_total", kind: counter, labels: []string{"source"},
		help:    "Channels of streams and polls that began with older messages or after a cursor, by where their position was found: in the tail or in the log.",
		collect: func(s *snapshot, e emitter) { emitAll(e, s.hub.Resumes) }},
	{name: "comet_log_reads_total", kind: counter, labels: []string{"reader"},
		help:    "Pages of logs that were read, for tails, for the replay of what subscribers have missed, and as history.",
		collect: func(s *snapshot, e emitter) { emitAll(e, s.hub.Reads) }},
	{name: "comet_resyncs_total", kind: counter, labels: []string{"cause"},
		help:    "Times that an open channel's tail was compared with its log, by the cause.",
		collect: func(s *snapshot, e emitter) { emitAll(e, s.hub.Resyncs) }},
	{name: "comet_gaps_total", kind: counter, labels: []string{"reason"},
		help:    "Gaps reported to subscribers, because messages may be lost: one for all live subscribers of a channel, one for each subscriber that resumes.",
		collect: func(s *snapshot, e emitter) { emitAll(e, s.hub.Gaps) }},

	{name: "comet_relay_probe_age_seconds", kind: gauge,
		help:    "How long ago the oldest of the relay connections' newest probes came back; -1 while one has none, 0 without Redis.",
		collect: func(s *snapshot, e emitter) { e.value(s.node.probeAge().Seconds()) }},
	{name: "comet_redis_takeover_unconfirmed_seconds", kind: gauge,
		help:    "For how long another Redis primary has answered without a confirmation that it took over; its channels deliver nothing meanwhile. 0 if none does.",
		collect: func(s *snapshot, e emitter) { e.value(s.redis.Unconfirmed.Seconds()) }},
	{name: "comet_redis_errors_total", kind: counter, labels: []string{"operation", "kind"},
		help: "Failed operations on Redis: publishes, log reads, relay connections, probes, presence, the node registry, and Bayeux sessions.",
		collect: func(s *snapshot, e emitter) {
			for _, operation := range redisbroker.Operations {
				for _, kind := range redisbroker.Kinds {
					e.count(s.redis.Errors[operation][kind], string(operation), string(kind))
				}
			}
		}},
	{name: "comet_foreign_data_total", kind: counter, labels: []string{"in"},
		help: "Entries of logs, and relayed messages, that are not messages of Comet and were skipped; each time that one was read.",
		collect: func(s *snapshot, e emitter) {
			for _, place := range redisbroker.Places {
				e.count(s.redis.Foreign[place], string(place))
			}
		}},
	{name: "comet_redis_pool_connections", kind: gauge, labels: []string{"state"},
		help: "Connections to Redis, but for the relay's.",
		collect: func(s *snapshot, e emitter) {
			e.count(int64(s.redis.Pool.Busy), "busy")
			e.count(int64(s.redis.Pool.Idle), "idle")
		}},
	{name: "comet_redis_pool_requests_total", kind: counter, labels: []string{"result"},
		help: "Connections that were asked of the pool: hit is an idle one, miss a new one, timeout none in time.",
		collect: func(s *snapshot, e emitter) {
			e.count(s.redis.Pool.Hits, "hit")
			e.count(s.redis.Pool.Misses, "miss")
			e.count(s.redis.Pool.Timeouts, "timeout")
		}},
}

// emitTransports emits a value for each transport.
func emitTransports(e emitter, counts [conn.Transports]int64) {
	for t, n := range counts {
		e.count(n, conn.Transport(t).String())
	}
}

// collectConnections sorts the connections: streams and polls that are parked,
// and those that a goroutine holds; parked ones that rest between two polls;
// and all others, which wait for no messages.
func collectConnections(s *snapshot, e emitter) {
	others := s.listener.Open - s.held.IdlePolls
	for t := range conn.Transport(conn.Transports) {
		parked := s.held.Parked[t]
		held := max(0, s.gateway.Held(t)-parked) // not of one moment
		e.count(parked, t.String(), "parked")
		e.count(held, t.String(), "held")
		others -= parked + held
	}
	e.count(s.held.IdlePolls, conn.OverPoll.String(), "resting")
	e.count(max(0, others), "none", "open") // over HTTP/2 there are more streams than connections
}

// draining is as comet_draining_seconds has it.
func (n *node) draining() time.Duration {
	if since := n.leaving.Load(); since != nil {
		return time.Since(*since)
	}
	return 0
}

// probeAge is as comet_relay_probe_age_seconds has it.
func (n *node) probeAge() time.Duration {
	b, ok := n.broker.(relay)
	if !ok {
		return 0
	}
	if age, ok := b.RelayAge(); ok {
		return age
	}
	return -time.Second
}
