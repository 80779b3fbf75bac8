package failure

import (
	"slices"
	"strings"
	"testing"

	"comet/pubsub"
)

// The faked log has two lives: one that ended with a wipe, and one that two
// primaries wrote. The first of them took 15 and 16, which a failover lost. 15 was
// acknowledged.
//
//	life 0   1a 2a
//	life 1   11a 12a 13a | 21b 22b
const (
	genA pubsub.Epoch = 0xa
	genB pubsub.Epoch = 0xb
)

func idOf(ms uint64, gen pubsub.Epoch) pubsub.ID { return pubsub.ID{MS: ms, Epoch: gen} }

func fakedTruth() *truth {
	var lives [2][]entry
	add := func(life int, gen pubsub.Epoch, all ...uint64) {
		for _, ms := range all {
			e := entry{id: idOf(ms, gen), key: idOf(ms, gen).String()}
			if n := len(lives[life]); n > 0 {
				e.prev = lives[life][n-1].id
			}
			lives[life] = append(lives[life], e)
		}
	}
	add(0, genA, 1, 2)
	add(1, genA, 11, 12, 13)
	add(1, genB, 21, 22)
	t := newTruth("news", lives[:])
	t.alive[genB] = true
	for _, e := range t.entries {
		t.acknowledge(receipt{"news", e.key, e.id})
	}
	t.acknowledge(receipt{"news", idOf(15, genA).String(), idOf(15, genA)})
	t.sent[idOf(16, genA).String()] = true
	return t
}

// Happenings.

func at(ms uint64, gen pubsub.Epoch) happening {
	return happening{kind: started, after: pubsub.CursorAfter(idOf(ms, gen))}
}

func message(ms uint64, gen pubsub.Epoch) happening {
	id := idOf(ms, gen)
	return happening{kind: gotMessage, id: id, key: id.String(), after: pubsub.CursorAfter(id)}
}

func gapOf(why pubsub.Reason, from, to pubsub.ID, gen pubsub.Epoch) happening {
	return happening{
		kind:  gotGap,
		gap:   pubsub.Gap{Channel: "news", From: from, To: to, Reason: why},
		after: pubsub.Cursor{ID: to, Epoch: gen},
	}
}

func failoverAt(ms uint64) happening {
	return gapOf(pubsub.Failover, idOf(ms, genA), idOf(ms, genA), genB)
}

func restartedAt(ms uint64) happening {
	return gapOf(pubsub.Restarted, idOf(ms, genA), pubsub.ID{}, genA)
}

func rewoundFrom(ms uint64, to pubsub.ID) happening {
	return gapOf(pubsub.Rewound, idOf(ms, genA), to, genB)
}

// TestJudgeNotices judges histories against the faked log. With a judge that
// notices nothing, the suite would always pass.
func TestJudgeNotices(t *testing.T) {
	t.Parallel()
	var (
		unknown    = happening{kind: gotMessage, id: idOf(14, genA), key: "unknown"}
		neverKept  = message(12, 0xc)
		somewhere  = happening{kind: startedSomewhere}
		wrongAfter = rewoundFrom(15, idOf(13, genA))
		b          = []happening{message(21, genB), message(22, genB)}
	)
	neverKept.id.Epoch, neverKept.key = genA, message(11, genA).key
	neverKept.id.Counter = 7 // in the log's middle, and not in it
	wrongAfter.after.ID = idOf(12, genA)
	for _, test := range []struct {
		name string
		all  [][]happening
		want string // in the error; empty: nothing is wrong
	}{
		{"exact", [][]happening{{at(11, genA), message(12, genA), message(13, genA), failoverAt(13)}, b}, ""},
		{"exact, with what was lost", [][]happening{{at(13, genA), message(15, genA), message(16, genA), rewoundFrom(16, idOf(13, genA))}, b}, ""},
		{"exact, without an unacknowledged message", [][]happening{{at(13, genA), message(15, genA), rewoundFrom(15, idOf(13, genA))}, b}, ""},
		{"exact, over a wipe that was reported", [][]happening{{at(1, genA), restartedAt(1), message(11, genA), message(12, genA), message(13, genA), failoverAt(13)}, b}, ""},
		{"exact, over a wipe that took nothing", [][]happening{{at(2, genA), message(11, genA), message(12, genA), message(13, genA), failoverAt(13)}, b}, ""},
		{"begins somewhere", [][]happening{{somewhere, message(13, genA), failoverAt(13)}, b}, ""},

		{"lost", [][]happening{{at(11, genA), message(13, genA), failoverAt(13)}, b}, "lost silently"},
		{"lost at the start", [][]happening{{at(11, genA), failoverAt(11)}, b}, "lost silently"},
		{"lost at the end", [][]happening{{at(13, genA), failoverAt(13)}, b[:1]}, "not come to the end"},
		{"lost with the primary", [][]happening{{at(13, genA)}, b}, "no gap was reported"},
		{"lost in front of what was lost", [][]happening{{at(13, genA), message(16, genA)}}, "lost silently"},
		{"lost in front of the fork", [][]happening{{at(12, genA), message(15, genA)}}, "lost silently"},
		{"lost with the wiped log", [][]happening{{at(1, genA), message(11, genA)}}, "lost silently"},
		{"lost after a gap", [][]happening{{at(13, genA), failoverAt(13)}, b[1:]}, "lost silently"},
		{"lost after a restart", [][]happening{{at(2, genA), restartedAt(2), message(12, genA)}}, "lost silently"},

		{"repeated", [][]happening{{at(11, genA), message(12, genA), message(12, genA)}}, "comes again"},
		{"repeated, from in front of the start", [][]happening{{at(12, genA), message(12, genA)}}, "comes late"},
		{"repeated after a gap", [][]happening{{at(12, genA), message(13, genA), failoverAt(13), message(13, genA)}}, "comes again"},
		{"gap at the end of an epoch that goes on", [][]happening{{at(12, genA), failoverAt(12), message(13, genA)}}, "reported the end of its epoch"},
		{"disordered", [][]happening{{at(11, genA), message(13, genA), message(12, genA)}}, "lost silently"},
		{"disordered among what was lost", [][]happening{{at(13, genA), message(15, genA), message(16, genA), message(15, genA)}}, "comes again"},
		{"never published", [][]happening{{at(13, genA), unknown}}, "never published"},
		{"never in the log", [][]happening{{at(11, genA), neverKept}}, "not in the log"},

		{"gap too wide at its end", [][]happening{{at(13, genA), message(15, genA), rewoundFrom(15, idOf(21, genB))}}, "too wide"},
		{"gap too wide in front", [][]happening{{at(11, genA), rewoundFrom(11, idOf(13, genA))}}, "the log has"},
		{"gap over the whole log", [][]happening{{at(11, genA), restartedAt(11)}}, "not begun again"},
		{"gap too narrow", [][]happening{{at(13, genA), message(15, genA), failoverAt(13)}}, "but the client is at"},
		{"gap that goes back too far", [][]happening{{at(12, genA), message(13, genA), message(15, genA), rewoundFrom(15, idOf(12, genA)), message(13, genA)}}, "comes again"},
		{"gap where nothing happened", [][]happening{{at(11, genA), gapOf(pubsub.Failover, idOf(11, genA), idOf(11, genA), genA)}}, "nothing is missing"},
		{"gap where the primary lives", [][]happening{{at(21, genB), gapOf(pubsub.Failover, idOf(21, genB), idOf(21, genB), 0xc)}}, "nothing is missing"},
		{"gap of a failover that covers more", [][]happening{{at(12, genA), gapOf(pubsub.Failover, idOf(12, genA), idOf(13, genA), genB)}}, "covers"},
		{"gap trimmed", [][]happening{{at(11, genA), gapOf(pubsub.Trimmed, idOf(11, genA), idOf(12, genA), genA)}}, "nothing can be trimmed"},
		{"gap reported again", [][]happening{{at(13, genA), failoverAt(13), failoverAt(13)}}, "reported again"},
		{"gap at the start", [][]happening{{failoverAt(13)}}, "begins with a gap"},
		{"gap with another cursor", [][]happening{{at(13, genA), message(15, genA), wrongAfter}}, "the cursor says"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var all []happening
			for _, part := range test.all {
				all = append(all, part...)
			}
			_, wrong := newJudge(fakedTruth()).history(all)
			switch {
			case wrong == nil && test.want != "":
				t.Errorf("nothing is wrong, want %q", test.want)
			case wrong != nil && (test.want == "" || !strings.Contains(wrong.Error(), test.want)):
				t.Errorf("%v, want %q", wrong, test.want)
			}
		})
	}
}

// TestMovesAreNoGap: on a Redis Cluster a channel may move to another primary, of
// another epoch, without a gap.
func TestMovesAreNoGap(t *testing.T) {
	t.Parallel()
	truth := fakedTruth()
	truth.quiet = true
	all := []happening{at(12, genA), message(13, genA), message(21, genB), message(22, genB)}
	if _, wrong := newJudge(truth).history(all); wrong == nil || !strings.Contains(wrong.Error(), "no gap was reported") {
		t.Errorf("%v, but 15 was lost with the primary", wrong)
	}
	truth.lost = nil
	if _, wrong := newJudge(truth).history(all); wrong != nil {
		t.Error(wrong)
	}
	truth.alive[genA] = true
	all = []happening{at(13, genA), failoverAt(13), message(21, genB), message(22, genB)}
	if _, wrong := newJudge(truth).history(all); wrong == nil || !strings.Contains(wrong.Error(), "nothing is missing") {
		t.Errorf("%v, but the gap is about a primary that lives", wrong)
	}
}

// TestMovesThereAndBack: a message that a primary took and lost after a channel
// had moved back to it was not lost before.
func TestMovesThereAndBack(t *testing.T) {
	t.Parallel()
	ids := []pubsub.ID{idOf(1, genA), idOf(2, genB), idOf(3, genA), idOf(5, 0xc)}
	var life []entry
	var prev pubsub.ID
	for _, id := range ids {
		life = append(life, entry{id: id, prev: prev, key: id.String()})
		prev = id
	}
	truth := newTruth("news", [][]entry{life})
	truth.quiet = true
	for _, id := range append(ids, idOf(4, genA)) {
		truth.acknowledge(receipt{"news", id.String(), id})
	}
	all := []happening{at(1, genA), message(2, genB), message(3, genA), gapOf(pubsub.Failover, idOf(3, genA), idOf(3, genA), 0xc), message(5, 0xc)}
	if _, wrong := newJudge(truth).history(all); wrong != nil {
		t.Error(wrong)
	}
	all = slices.Delete(all, 3, 4)
	if _, wrong := newJudge(truth).history(all); wrong == nil || !strings.Contains(wrong.Error(), "no gap was reported") {
		t.Errorf("%v, but 4 was lost with the primary", wrong)
	}
}

// TestTruthNotices checks impossible logs and receipts.
func TestTruthNotices(t *testing.T) {
	t.Parallel()
	first := entry{id: idOf(1, genA), key: "1"}
	for _, test := range []struct {
		name string
		life []entry
		lost receipt
		want string
	}{
		{"key twice", []entry{first, {id: idOf(2, genA), prev: first.id, key: "1"}}, receipt{}, "twice"},
		{"hole", []entry{first, {id: idOf(3, genA), prev: idOf(2, genA), key: "3"}}, receipt{}, "says it follows"},
		{"disorder", []entry{{id: idOf(2, genA), key: "2"}, {id: first.id, prev: idOf(2, genA), key: "1"}}, receipt{}, "says it follows"},
		{"lost by a primary that lives", []entry{first}, receipt{"news", "5", idOf(5, genB)}, "has not failed"},
		{"lost from the middle", []entry{{id: idOf(9, genA), key: "9"}}, receipt{"news", "5", idOf(5, genA)}, "has not failed"},
	} {
		truth := newTruth("news", [][]entry{test.life})
		truth.alive[genB] = true
		if test.lost.key != "" {
			truth.acknowledge(test.lost)
		}
		if wrong := truth.check(); len(wrong) != 1 || !strings.Contains(wrong[0], test.want) {
			t.Errorf("%s: %q, want one with %q", test.name, wrong, test.want)
		}
	}
}
