// Package pubsub is the cluster side of Comet: channels, their logs, and how
// subscribers follow them through everything that can go wrong. It knows no
// HTTP.
//
// A channel's log is the truth, and the relay only makes it fast. A Broker
// (redisbroker, membroker) keeps the logs and relays what is appended. A Hub is
// one node: for each channel that has subscribers there it keeps a tail, a
// gap-free copy of the newest part. A Subscriber is a place in tails; one that
// comes with a cursor older than its tail replays the log until it can join.
//
// What makes this exact:
//
//   - Every message names the ID of the one before it (Message.Prev), so a hole
//     shows at its first message.
//
//   - Every ID has in it the epoch of the primary that took the message.
//     Messages that a failover took back leave no hole; the new epoch is
//     what tells of them. A Cursor too says in whose log it is a place.
//
//   - A relayed message is appended if it plainly follows. For everything else
//     the log is read, and only what is read is judged (logreader.go):
//
//     the message read                 then
//     follows                          append; if its epoch is new, first a gap Failover
//     has no predecessor               gap Restarted, unless nothing can have been missed
//     follows a newer one              gap Trimmed
//     follows an older one             gap Rewound, from where the log diverged on
//     is not readable as a message     gap Unreadable
//
//     and at the end of the log: it is gone, gap Restarted; it ends earlier,
//     gap Rewound; the primary's epoch is new, gap Failover.
//
//   - A lost relay makes every tail read its log again, as does a slow sweep.
//
// Who is in a channel is kept apart from its log: a Presence is one node's side
// of it, see Lease for what nodes and brokers make of it.
//
// model_test.go runs these rules through random schedules of such trouble.
package pubsub
