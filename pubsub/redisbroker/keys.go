package redisbroker

import (
	"fmt"
	"strconv"
	"strings"

	"comet/pubsub"
)

// keys makes the names of Redis keys and pub/sub channels. All keys of a channel share
// the hash tag {channel}, so they are in the same Redis Cluster slot. The name of an index
// log has its braces itself.
//
// A script appends to a channel's log and to its index log in one step. So on Redis
// Cluster the keys of a channel that has an index log are in the slot of that, and not in
// one of their own: a channel's log begins again when its rule gets or loses patterns.
//
// Keys belong to a database of Redis, but pub/sub channels do not. So the names of
// those end in the database's number, except for database 0.
type keys struct {
	prefix string
	suffix string        // of every pub/sub channel
	index  *pubsub.Index // on Redis Cluster; else nil
}

func newKeys(prefix string, db int) keys {
	if db == 0 {
		return keys{prefix: prefix}
	}
	return keys{prefix: prefix, suffix: ":" + strconv.Itoa(db)}
}

// of is the beginning of the keys of a channel or index log:
//
//	comet:{orders/1}                  of a channel
//	comet:{orders/**:16:3}/orders/1   of a channel with an index log, on Redis Cluster
//	comet:{orders/**:16:3}:index      of an index log
func (k keys) of(log string) string {
	if pubsub.IsIndexLog(log) {
		return k.prefix + ":" + log + ":index"
	}
	if index := k.index.Log(log); index != "" {
		return k.prefix + ":" + index + "/" + log
	}
	return k.prefix + ":{" + log + "}"
}

// log is the log of a channel, or an index log: a stream with the fields prev, type, data,
// trace and meta or, in an index log, relay. It expires some time after its newest message, see Options.TTL and Retention. The key
// …:end belongs to it, see newest.lua.
func (k keys) log(channel string) string { return k.of(channel) + ":log" }

// once is a draft's idempotency key: a string, see publish.lua, that expires after
// Options.KeyWindow.
func (k keys) once(d *pubsub.Draft) string {
	return k.of(d.Channel) + ":key:" + d.KeyName()
}

// live is the pub/sub channel that relays the channel, see decodeRelayed.
func (k keys) live(channel string) string { return k.of(channel) + ":live" + k.suffix }

// presence returns the keys of the channel's presence. hold.lua documents their types
// and expiry.
func (k keys) presence(channel string) []string {
	base := k.of(channel) + ":presence:"
	return []string{base + "holders", base + "members", base + "order", base + "held"}
}

// record is a record: a hash, see record.lua, which sets its expiry.
func (k keys) record(key string) string { return k.prefix + ":{" + key + "}:record" }

// probe is a pub/sub channel for a connection's probes. n selects its slot.
func (k keys) probe(unique uint64, n int) string {
	return fmt.Sprintf("%s:{%d}:probe:%016x%s", k.prefix, n, unique, k.suffix)
}

// history is the epoch history: a hash, see epoch_history.lua, that expires historyTTL
// after its last use. On Redis Cluster each primary has one, historyAt; n selects its
// slot.
func (k keys) history() string        { return k.prefix + ":lives" }
func (k keys) historyAt(n int) string { return fmt.Sprintf("%s:{%d}:lives", k.prefix, n) }

// since is a string that only the loss of all data removes, see read.lua. It does not
// expire. Redis Cluster has none: each slot would need one, and it would stop the move of
// a slot.
func (k keys) since() string { return k.prefix + ":since" }

// registry returns the keys of the node registry, in the order of announce.lua and
// nodes.lua. All are in one slot and expire when no node announces itself any more.
func (k keys) registry() []string {
	names := []string{"alive", "reports", "channels", "asked"}
	for i, name := range names {
		names[i] = k.prefix + ":{comet.nodes}:" + name
	}
	return names
}

// check is a key that never exists, and a pub/sub channel without subscribers, see
// check.lua.
func (k keys) check() string { return k.prefix + ":check" }

// channel returns the channel or index log that live relays. ok is false for other names.
func (k keys) channel(live string) (log string, ok bool) {
	name, ok1 := strings.CutPrefix(live, k.prefix+":{")
	name, ok2 := strings.CutSuffix(name, ":live"+k.suffix)
	tag, rest, ok3 := strings.Cut(name, "}")
	switch {
	case !ok1 || !ok2 || !ok3:
		return "", false
	case rest == "":
		return tag, true
	case rest == ":index":
		return "{" + tag + "}", true
	}
	return strings.CutPrefix(rest, "/")
}
