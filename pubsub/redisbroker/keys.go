package redisbroker

import (
	"fmt"
	"strconv"
	"strings"

	"comet/pubsub"
)

// keys makes the Redis names of one Comet. All keys of a channel share the
// hash tag {channel}, so they live in one Redis Cluster slot.
//
// Keys belong to a database of Redis, pub/sub channels do not: those have the
// database's number at their end, except for database 0.
type keys struct {
	prefix string
	suffix string // of every pub/sub channel
}

func newKeys(prefix string, db int) keys {
	if db == 0 {
		return keys{prefix: prefix}
	}
	return keys{prefix, ":" + strconv.Itoa(db)}
}

// log is the channel's log: a stream with the fields prev, type and data.
// It expires some time after its newest message, see Options.TTL and Retention.
// Beside it there may be the key …:end, see newest.lua.
func (k keys) log(channel string) string { return k.prefix + ":{" + channel + "}:log" }

// once is where publish.lua keeps a draft's idempotency key: a string that
// expires after Options.KeyWindow.
func (k keys) once(d *pubsub.Draft) string {
	return k.prefix + ":{" + d.Channel + "}:key:" + d.KeyName()
}

// live is the pub/sub channel that relays the channel, see relayed.
func (k keys) live(channel string) string { return k.prefix + ":{" + channel + "}:live" + k.suffix }

// presence is where the channel's presence is: the keys of hold.lua, which
// says what is in them and when they expire.
func (k keys) presence(channel string) []string {
	base := k.prefix + ":{" + channel + "}:presence:"
	return []string{base + "holders", base + "members", base + "order", base + "held"}
}

// probe is a pub/sub channel for a connection's probes; n chooses its slot.
func (k keys) probe(unique uint64, n int) string {
	return fmt.Sprintf("%s:{%d}:probe:%016x%s", k.prefix, n, unique, k.suffix)
}

// lives is what epoch_history.lua remembers: a hash that expires historyTTL after it was
// last asked for. On Redis Cluster each primary has one, and n chooses its slot.
func (k keys) history() string        { return k.prefix + ":lives" }
func (k keys) historyAt(n int) string { return fmt.Sprintf("%s:{%d}:lives", k.prefix, n) }

// since is a string that nothing but the loss of all data removes, see read.lua. It
// does not expire. Redis Cluster has none: it would be in each of the slots, and
// in the way of one that moves.
func (k keys) since() string { return k.prefix + ":since" }

// registry is the keys of the node registry, all in one slot, as announce.lua and nodes.lua
// have them. Each expires when no node announces any more.
func (k keys) registry() []string {
	names := []string{"alive", "reports", "channels", "asked"}
	for i, name := range names {
		names[i] = k.prefix + ":{comet.nodes}:" + name
	}
	return names
}

// check is a key, and a pub/sub channel, that nothing is in: see check.lua.
func (k keys) check() string { return k.prefix + ":check" }

// channel is the inverse of live.
func (k keys) channel(live string) (string, bool) {
	name, ok := strings.CutPrefix(live, k.prefix+":{")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(name, "}:live"+k.suffix)
}
