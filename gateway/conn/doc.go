// Package conn holds connections: it accepts them within limits, and writes to a
// stream or long-poll what comes for its subscriber until either ends.
//
// It has three parts:
//
//   - Parked (parked_*.go, Linux): a stream over plain HTTP/1.1 keeps no goroutine,
//     timer or buffer, only an entry in a poller and a position in a feed. Parker is
//     the entry.
//   - Portable (portable.go): the request's own goroutine holds it, on every system,
//     and over TLS and HTTP/2. Parker falls back to it.
//   - Fast accept (fastaccept*.go): a new connection is parked without net/http, if
//     its request can be admitted without waiting. Other requests go to the server.
//
// They share Stream, Poll and Session, which callers hand in; Listener (listener*.go),
// which limits connections, closes idle ones to make room, and returns parked ones to
// the server; and Replays (replays.go), which limits how many clients read logs at a
// time.
//
// A stream comes from gateway with Hold: its goroutine writes until the subscriber
// has all of the log, and then parks the connection. A poll comes with HoldPoll, and
// the polls after it on the same connection are read by its writer. In both cases,
// and with fast accept, the Parker joins the connection to the feeds of its channels
// and adds it to one of its writers, a goroutine per core:
//
//	pubsub tail ── Grown ──▶ feed ── feedGrown ──▶ writer ── write(2) ──▶ sockets
//	                                   poller ── post ──▶ ┘
//
// A feed (parked_feed_linux.go) has the newest messages of a channel in one format,
// encoded once. A shard is one writer's part of it. A writer
// (parked_writer_linux.go) does all work on its connections. Each of its parts uses
// only those before it:
//
//	schedule    the tick at which each connection is due
//	registry    the connections, their slots in shards, and idle polls
//	pollServer  answers polls and reads the next ones
//	closer      close reasons, revocation, drain
//	clock       heartbeats, ends of sessions, polls and stalled streams
//	flusher     flush passes over a shard, and write coalescing
//
// # Lock order
//
// A goroutine that holds a lock takes only locks to the right of it:
//
//	fastAcceptor.mu → feedTable.mu → tail.mu (of pubsub) → feed.mu → writer.mu
//
// The one exception is feedTable.acquire, which watches a tail while it holds the
// mu of a new feed. Nothing else has that feed yet. The locks of poller, gate,
// Listener, refusal and Replays are leaves: no other lock is taken under them. A
// writer calls out (Ended, Began, a FastFunc, Written) with no lock held.
package conn
