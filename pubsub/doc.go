// Package pubsub is the cluster side of Comet: channels, their logs, and how
// subscribers follow them through everything that can go wrong. It knows no
// HTTP.
//
// A channel's log is the truth, and the relay only makes it fast. A Broker
// (redisbroker, membroker) keeps the logs and relays what is appended. A Hub is
// one node: for each channel that has subscribers there it keeps a tail, a
// gap-free copy of the newest part. A Subscriber is a position in tails; with
// a cursor older than its tail it replays the log until it can join the tail.
//
// This is exact, because:
//
//   - Every message names the ID of the one before it (Message.Prev), so a hole
//     shows at its first message.
//
//   - Every ID has in it the epoch of the primary that took the message.
//     Messages that a failover took back leave no hole; only the new epoch
//     shows them. A Cursor has an epoch too.
//
//   - A relayed message is appended if it plainly follows. For everything else
//     the log is read, and only what is read is judged (logreader.go):
//
//     the message read                 then
//     follows                          append; if its epoch is new, first a gap Failover
//     has no predecessor               gap Restarted, unless nothing can have been missed
//     follows a newer one              gap Trimmed
//     follows an older one             gap Rewound, from the point at which the log diverged
//     is not readable as a message     gap Unreadable
//
//     and at the end of the log: it is gone, gap Restarted; it ends earlier,
//     gap Rewound; the primary's epoch is new, gap Failover.
//
//   - A lost relay makes every tail read its log again, as does a slow sweep.
//
// Presence, the list of members of a channel, is independent of its log. A
// Presence is one node's side of it; Lease describes the protocol with brokers.
//
// model_test.go runs these rules through random schedules of such trouble.
package pubsub
