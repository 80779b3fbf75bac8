package failure

import (
	"fmt"

	"comet/pubsub"
)

// happening is one event that a client received from one channel.
type happening struct {
	kind  happeningKind
	id    pubsub.ID  // of a message
	key   string     // of a message, see publisher
	gap   pubsub.Gap // of a gap
	after pubsub.Cursor
	note  string // when and where
}

type happeningKind uint8

const (
	// started is the begin of a subscription, at after.
	started happeningKind = iota
	// startedSomewhere is the begin without a cursor, like Ready of a poll.
	startedSomewhere
	gotMessage
	gotGap
)

func (h happening) String() string {
	switch h.kind {
	case started:
		return fmt.Sprintf("%s: starts at %v", h.note, h.after)
	case startedSomewhere:
		return h.note + ": starts"
	case gotMessage:
		return fmt.Sprintf("%s: gets %v (%s)", h.note, h.id, h.key)
	}
	return fmt.Sprintf("%s: gap %s from %v to %v, is at %v", h.note, h.gap.Reason, h.gap.From, h.gap.To, h.after)
}

// judge compares the events that one client received from one channel with the
// truth:
//
//  1. Messages arrive in the order of the log, each once.
//  2. A missing message is reported before the next message: by a gap that begins
//     where the client is, and covers it.
//  3. Where the epoch changes, a gap is reported even if the lost messages are
//     unknown (truth.quiet has the exceptions). There is no gap where a channel
//     only moved, or nothing happened.
//  4. A gap covers no message that the client could have received, and is reported
//     once.
//
// A message that was not acknowledged may arrive or not, at most once.
type judge struct {
	truth *truth
	begun bool
	at    pubsub.Cursor // Gen 0: not known
	place int           // of the newest entry that the client received or that a gap covered; -1: no entry
	// fresh: the next message may begin any later life of the log; with anywhere,
	// also in its middle.
	fresh, anywhere bool
	before          pubsub.Epoch // ended by a gap since the last message; 0: no such gap
	had             map[pubsub.ID]bool
	gaps            map[gapKey]bool
}

type gapKey struct {
	from, to pubsub.ID
	gen      pubsub.Epoch
}

func newJudge(t *truth) *judge {
	return &judge{truth: t, place: -1, had: make(map[pubsub.ID]bool), gaps: make(map[gapKey]bool)}
}

// history judges all events that a client received. They must reach the end of
// the log. It returns the index of the first wrong event, and the fault.
func (j *judge) history(all []happening) (at int, wrong error) {
	for i, h := range all {
		if err := j.next(h); err != nil {
			return i, err
		}
	}
	if n := len(j.truth.entries); n > 0 && j.place != n-1 {
		return len(all), fmt.Errorf("it has not come to the end of the log, %v", j.truth.entries[n-1].id)
	}
	return -1, nil
}

func (j *judge) next(h happening) error {
	switch h.kind {
	case started, startedSomewhere:
		return j.start(h)
	case gotMessage:
		return j.message(h)
	}
	return j.gap(h)
}

func (j *judge) start(h happening) error {
	if j.begun {
		return fmt.Errorf("it begins again")
	}
	j.begun = true
	if h.kind == startedSomewhere {
		j.fresh, j.anywhere = true, true
		return nil
	}
	j.at = h.after
	i, kept := j.truth.index[j.at.Last()]
	switch {
	case kept:
		j.place = i
	case j.at.Last().IsZero():
		j.fresh = true
	default:
		if j.place = j.truth.fork(j.at.Last()); j.place < 0 {
			j.fresh, j.anywhere = true, true // its primary lost the message and all before it
		}
	}
	return nil
}

func (j *judge) message(h happening) error {
	switch i, kept := j.truth.index[h.id]; {
	case !j.truth.sent[h.key]:
		return fmt.Errorf("it was never published")
	case j.had[h.id] && !(kept && j.truth.entries[i].overtaken && j.at.Last().IsZero()):
		return fmt.Errorf("it comes again")
	case j.before != 0 && j.before == h.id.Epoch:
		return fmt.Errorf("the gap before it reported the end of its epoch")
	}
	if err := j.generation(h.id); err != nil {
		return err
	}
	var err error
	if i, kept := j.truth.index[h.id]; kept {
		err = j.keptMessage(i)
	} else {
		err = j.lostMessage(h.id)
	}
	j.had[h.id] = true
	j.at, j.fresh, j.anywhere, j.before = pubsub.CursorAfter(h.id), false, false, 0
	return err
}

// generation applies rule 3 to a message.
func (j *judge) generation(id pubsub.ID) error {
	if j.at.Epoch == 0 || j.at.Epoch == id.Epoch {
		return nil
	}
	if !j.truth.quiet {
		return fmt.Errorf("it is of another epoch than %v, and no gap was reported", j.at)
	}
	for _, r := range j.truth.lost {
		if r.id.Epoch == j.at.Epoch && r.id.Compare(j.at.Last()) > 0 && !j.had[r.id] && !j.truth.cameBack(id, r.id) {
			return fmt.Errorf("%v (%s) is lost, and no gap was reported", r.id, r.key)
		}
	}
	return nil
}

// keptMessage judges a message that the log has, at i.
func (j *judge) keptMessage(i int) error {
	t := j.truth
	switch {
	case j.fresh && !j.anywhere && !t.firstOfLife(i):
		return j.silent(t.lives[t.lifeOf(i)].first, i)
	case j.fresh && i > j.place:
	case i <= j.place && !t.entries[i].overtaken:
		return fmt.Errorf("it comes late, after its successor in the log or after a gap that covers it")
	default:
		if err := j.silent(j.place+1, i); err != nil {
			return err
		}
	}
	j.place = max(j.place, i)
	return nil
}

// silent returns an error if the client lacks one of the entries from first to end-1.
func (j *judge) silent(first, end int) error {
	for i := first; i < end; i++ {
		if e := j.truth.entries[i]; !j.had[e.id] && !e.overtaken {
			return fmt.Errorf("%v (%s), in front of it in the log, is lost silently, one of %d", e.id, e.key, end-i)
		}
	}
	return nil
}

// lostMessage judges a message that a failover lost later.
func (j *judge) lostMessage(id pubsub.ID) error {
	t := j.truth
	if t.outlived(id) || t.alive[id.Epoch] {
		return fmt.Errorf("it is not in the log, and its primary has not failed since")
	}
	if j.at.Epoch == id.Epoch && id.Compare(j.at.Last()) <= 0 {
		return fmt.Errorf("it comes late: the client is at %v", j.at)
	}
	for _, r := range t.lost {
		between := r.id.Epoch == id.Epoch && r.id.Compare(j.at.Last()) > 0 && r.id.Compare(id) < 0
		if between && j.at.Epoch == id.Epoch && !j.had[r.id] {
			return fmt.Errorf("%v (%s), in front of it, is lost silently", r.id, r.key)
		}
	}
	fork := t.fork(id)
	if fork < 0 || j.fresh {
		return nil
	}
	if err := j.silent(j.place+1, fork+1); err != nil {
		return err
	}
	j.place = max(j.place, fork)
	return nil
}

func (j *judge) gap(h happening) error {
	g, t := h.gap, j.truth
	key := gapKey{g.From, g.To, h.after.Epoch}
	switch {
	case !j.begun:
		return fmt.Errorf("it begins with a gap")
	case !j.anywhere && g.From != j.at.Last():
		return fmt.Errorf("the gap begins at %v, but the client is at %v", g.From, j.at)
	case j.gaps[key] && h.after.Epoch != 0:
		return fmt.Errorf("the gap is reported again")
	case h.after.Last() != g.To:
		return fmt.Errorf("the gap ends at %v, but the cursor says %v", g.To, h.after)
	}
	j.gaps[key] = true
	var err error
	switch g.Reason {
	case pubsub.Failover:
		err = j.failover(g, h.after.Epoch)
	case pubsub.Restarted:
		if !g.To.IsZero() || t.inLastLife(g.From) {
			err = fmt.Errorf("the log has not begun again after %v", g.From)
		}
		j.fresh, j.anywhere = true, false
	case pubsub.Rewound:
		err = j.rewound(g, h.after.Epoch)
	default:
		err = fmt.Errorf("nothing can be %s", g.Reason)
	}
	j.at = pubsub.Cursor{ID: g.To, Epoch: h.after.Epoch}
	return err
}

// failover checks that the epoch changed and that the first one has ended.
func (j *judge) failover(g pubsub.Gap, gen pubsub.Epoch) error {
	switch {
	case g.From != g.To:
		return fmt.Errorf("it covers messages after %v", g.From)
	case j.at.Epoch != 0 && (j.at.Epoch == gen || j.truth.alive[j.at.Epoch]):
		return fmt.Errorf("nothing is missing: the primary of epoch %v has not failed", j.at.Epoch)
	}
	j.before = j.at.Epoch
	return nil
}

// rewound checks that the log has no g.From any more, and that the client goes on
// after the newest message that it knows. The gap may cover only messages that the
// broker cannot distinguish from those that the client had.
func (j *judge) rewound(g pubsub.Gap, gen pubsub.Epoch) error {
	t := j.truth
	to, kept := t.index[g.To]
	if !kept {
		to = t.fork(g.To)
	}
	if t.inLastLife(g.From) {
		return fmt.Errorf("the log has %v", g.From)
	}
	if to >= 0 {
		known := false
		for i := t.lives[t.lifeOf(to)].first; i <= to; i++ {
			e := t.entries[i]
			if i > j.place && !j.fresh && !j.had[e.id] && (known || e.id.Epoch == gen) {
				return fmt.Errorf("the gap is too wide: it covers %v (%s), which the log has", e.id, e.key)
			}
			known = known || e.id.Epoch == g.From.Epoch
		}
	}
	j.place = to
	return nil
}
