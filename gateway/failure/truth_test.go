package failure

import (
	"fmt"

	"comet/pubsub"
)

// entry is a message in a channel's log.
type entry struct {
	id, prev pubsub.ID
	key      string // see publisher
	// overtaken: the log was wiped so soon after it that the wipe may have
	// overtaken it on its way to a node with a broken pub/sub connection. Then it
	// may be missing without a gap (the model of the pubsub package says why).
	overtaken bool
}

// receipt is the answer to a publisher: the message is in the log.
type receipt struct {
	channel string
	key     string
	id      pubsub.ID
}

// truth is the content of one channel's log. Nothing was trimmed, so each message
// is in one of the log's lives, or was lost with the primary that took it.
type truth struct {
	channel string
	lives   []life
	entries []entry           // of all lives
	index   map[pubsub.ID]int // of entries
	lost    []receipt         // acknowledged, but in no life
	sent    map[string]bool   // the keys that publishers used
	// alive are the epochs of the primaries at the end: such a primary never
	// failed, and lost nothing.
	alive map[pubsub.Epoch]bool
	// quiet: an epoch may follow another without a loss, and then needs no gap: a
	// channel moved between the primaries of a Redis Cluster, or a primary was
	// demoted and promoted again.
	quiet bool
}

// life is a part of entries: the log's content at a wipe, or at the end.
type life struct{ first, end int }

func newTruth(channel string, lives [][]entry) *truth {
	t := &truth{
		channel: channel,
		index:   make(map[pubsub.ID]int),
		sent:    make(map[string]bool),
		alive:   make(map[pubsub.Epoch]bool),
	}
	for _, entries := range lives {
		first := len(t.entries)
		for _, e := range entries {
			t.index[e.id] = len(t.entries)
			t.entries = append(t.entries, e)
		}
		t.lives = append(t.lives, life{first, len(t.entries)})
	}
	return t
}

// acknowledge adds a publisher's receipt.
func (t *truth) acknowledge(r receipt) {
	t.sent[r.key] = true
	if _, kept := t.index[r.id]; !kept {
		t.lost = append(t.lost, r)
	}
}

// lifeOf returns the index of the life of the entry at i.
func (t *truth) lifeOf(i int) int {
	for n, l := range t.lives {
		if i < l.end {
			return n
		}
	}
	return len(t.lives)
}

// inLastLife reports whether the log has the message at the end.
func (t *truth) inLastLife(id pubsub.ID) bool {
	i, kept := t.index[id]
	return kept && t.lifeOf(i) == len(t.lives)-1
}

// firstOfLife reports whether the entry at i begins a life.
func (t *truth) firstOfLife(i int) bool { return i == t.lives[t.lifeOf(i)].first }

// fork returns the index of the newest entry that the primary of id's epoch took
// before the lost id, or -1.
func (t *truth) fork(id pubsub.ID) int {
	for i := len(t.entries) - 1; i >= 0; i-- {
		if e := t.entries[i].id; e.Epoch == id.Epoch && e.Compare(id) < 0 {
			return i
		}
	}
	return -1
}

// outlived reports whether the primary that took id, which is not in the log, took
// a later message that is in the log. Then no failover can have lost id.
func (t *truth) outlived(id pubsub.ID) bool {
	for _, e := range t.entries {
		if e.id.Epoch == id.Epoch && e.id.Compare(id) > 0 {
			return true
		}
	}
	return false
}

// cameBack reports whether the log has, after id, a message that the primary of
// lost took before lost: then the channel had moved back to it.
func (t *truth) cameBack(id, lost pubsub.ID) bool {
	first, kept := t.index[id]
	if !kept {
		return false
	}
	for _, e := range t.entries[first+1:] {
		if e.id.Epoch == lost.Epoch && e.id.Compare(lost) < 0 {
			return true
		}
	}
	return false
}

// check compares the logs with the receipts: each key is in a life once, each
// message follows the one that it names, and only failovers lost messages.
func (t *truth) check() (wrong []string) {
	fail := func(format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("channel %s: ", t.channel)+fmt.Sprintf(format, args...))
	}
	for n, l := range t.lives {
		keys := make(map[string]pubsub.ID)
		var prev pubsub.ID
		for _, e := range t.entries[l.first:l.end] {
			if first, twice := keys[e.key]; twice {
				fail("life %d of the log has the key %s twice, as %v and %v", n, e.key, first, e.id)
			}
			if e.prev != prev || e.id.Compare(prev) <= 0 {
				fail("life %d of the log has %v, which says it follows %v, after %v", n, e.id, e.prev, prev)
			}
			keys[e.key], prev = e.id, e.id
		}
	}
	for _, r := range t.lost {
		if t.alive[r.id.Epoch] || t.outlived(r.id) {
			fail("%v with the key %s was acknowledged, its primary has not failed since, and the log does not have it", r.id, r.key)
		}
	}
	return wrong
}
