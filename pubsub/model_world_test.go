package pubsub

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

const modelChannel = "model"

var modelData = []byte("1")

// modelTTL is how long a log is kept after its newest message. The clocks of two
// primaries differ by much less.
const modelTTL = 10 * time.Second

// world is one channel as the whole cluster has it: the log, its primary with
// epoch and clock, the nodes with their links, and the clients. Nothing
// in it runs by itself; a schedule's operations move it.
type world struct {
	setup
	clock    uint64 // of the primary, in ms; may step back at a failover
	epoch    Epoch
	epochs   map[Epoch]epoch
	life     int         // counts how often the log began again
	log      []*accepted // of this life, what was trimmed included
	trimmed  int         // log[:trimmed] is no longer kept
	expired  ID          // the newest message of the log before, see Page.PreviousEnd
	since    ID          // see Page.IntactSince; zero: no read since all was wiped
	wiped    uint64      // when that was last
	shelf    []shelved   // the logs of primaries that were replaced
	back     bool        // one of them has come back
	accepted []*accepted // everything ever accepted; accepted[i].order is i
	byID     map[ID]*accepted
	starts   map[Cursor]int // the start of an empty log: the order of the newest message accepted before
	nodes    []*node
	clients  []*client

	err     error  // the first broken rule
	tracing bool   // keep a story, for a schedule that failed
	story   string // of the operation under way
}

// setup is what a schedule fixes for all its operations.
type setup struct {
	seed           uint64
	mode           mode
	nodes, clients int
	size           int // messages that the log keeps
	page           int // and messages read at a time
	limits         TailLimits
	large          bool // every third message is too large to be relayed: it is announced
}

// accepted is a message with what became of it.
type accepted struct {
	*Message
	order   int  // in which messages were accepted; from 1
	life    int  // of the log
	trimmed bool // was dropped from the old end of the log at some time
	lost    bool // a failover took it back
	cleared bool // its log expired or was wiped
	wiped   bool // its log was wiped

	returned bool // with its primary, after a failover had taken it back

	overtaken bool // by the wipe: it was under way to a node, or some node's link was severed
}

// shelved is a log that another primary has gone on without.
type shelved struct {
	log     []*accepted
	trimmed int
}

// epoch is the time of one epoch.
type epoch struct {
	number int
	first  int  // the order of the first message accepted in it
	back   bool // messages of it came back
}

func newWorld(s setup) *world {
	w := &world{
		setup: s, clock: 100, life: 1,
		epochs:   make(map[Epoch]epoch),
		accepted: []*accepted{{Message: &Message{}}}, // before the first
		byID:     make(map[ID]*accepted),
		starts:   make(map[Cursor]int),
	}
	w.begin(rand.New(rand.NewPCG(s.seed, 1)).Uint64())
	for i := range s.nodes {
		w.nodes = append(w.nodes, newNode(w, i))
	}
	for i := range s.clients {
		w.clients = append(w.clients, &client{world: w, name: i, judged: judged{gaps: make(map[seenGap]bool)}})
	}
	return w
}

// fail notes the first broken rule.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// tell adds to the story of a schedule.
func (w *world) tell(format string, args ...any) {
	if w.tracing {
		w.story += "; " + fmt.Sprintf(format, args...)
	}
}

// begin starts an epoch with an epoch made from bits.
func (w *world) begin(bits uint64) {
	for {
		w.epoch = Epoch(bits) & MaxEpoch
		if _, used := w.epochs[w.epoch]; w.epoch != 0 && !used {
			break
		}
		bits = bits*6364136223846793005 + 1442695040888963407
	}
	w.epochs[w.epoch] = epoch{number: len(w.epochs) + 1, first: len(w.accepted)}
}

func (w *world) kept() []*accepted { return w.log[w.trimmed:] }

func (w *world) end() ID {
	if len(w.log) == 0 {
		return ID{}
	}
	return w.log[len(w.log)-1].ID
}

// publish accepts a message and gives it to the links.
func (w *world) publish() {
	prev := w.end()
	if prev.IsZero() {
		prev = w.past()
	}
	m := &accepted{
		Message: &Message{Channel: modelChannel, Type: DefaultType, Data: modelData, ID: NextID(prev, w.clock, w.epoch), Prev: prev},
		order:   len(w.accepted), life: w.life,
	}
	if w.byID[m.ID] != nil || m.ID.Compare(prev) <= 0 {
		w.fail("NextID(%v, %d) gave %v", prev, w.clock, m.ID)
	}
	if prev.IsZero() {
		w.wasEmpty(Cursor{ID: startAt(m.ID.MS), Epoch: w.epoch})
	}
	w.accepted = append(w.accepted, m)
	w.byID[m.ID] = m
	w.log = append(w.log, m)
	if len(w.kept()) > w.size {
		w.trim(w.size)
	}
	w.tell("%s accepted after %s", w.name(m.ID), w.name(prev))
	w.relay(m.Message, w.large && m.order%3 == 0)
}

func (w *world) relay(m *Message, large bool) {
	for _, n := range w.nodes {
		if n.link.carrying {
			n.link.flight = append(n.link.flight, carried{m, large})
		}
	}
}

// trim keeps the newest n messages.
func (w *world) trim(n int) {
	for ; len(w.kept()) > n; w.trimmed++ {
		w.log[w.trimmed].trimmed = true
	}
}

// wasEmpty notes that the log is empty, or was just before the next message.
func (w *world) wasEmpty(start Cursor) {
	if _, known := w.starts[start]; !known {
		w.starts[start] = len(w.accepted) - 1
	}
}

// rest lets time pass in which nothing is published. The log expires.
func (w *world) rest(ms uint64) {
	w.clock += ms
	w.tell("the clock is at %d", w.clock)
	if end := w.end(); !end.IsZero() && w.clock >= end.MS+uint64(modelTTL.Milliseconds()) {
		w.clear()
		w.expired = end
		w.tell("the log expires")
	}
}

// past is Page.PreviousEnd of an empty log.
func (w *world) past() ID {
	if w.clock >= w.expired.MS+uint64(EndTTL(modelTTL).Milliseconds()) {
		return ID{}
	}
	return w.expired
}

// wipe empties the log.
func (w *world) wipe() {
	for _, m := range w.log {
		m.wiped = true
	}
	w.clear()
	w.expired = ID{}
	w.since, w.wiped = ID{}, max(w.wiped, w.clock)
}

// clear empties the log: it expired or was wiped. By then the clock has caught
// up with the log's IDs; nothing could tell an ID that is given twice.
func (w *world) clear() {
	w.clock = max(w.clock, w.end().MS) + 1
	severed := slices.ContainsFunc(w.nodes, func(n *node) bool { return n.link.severed })
	for _, m := range w.log {
		m.cleared, m.overtaken = true, severed
	}
	for _, n := range w.nodes {
		for _, m := range n.underWay() {
			if !m.Ephemeral() {
				w.byID[m.ID].overtaken = true
			}
		}
	}
	w.beginLog()
}

func (w *world) beginLog() {
	w.log, w.trimmed = nil, 0
	w.life++
}

// shelve keeps the log for comeBack.
func (w *world) shelve() {
	if len(w.log) > 0 {
		w.shelf = append(w.shelf, shelved{slices.Clip(w.log), w.trimmed})
	}
}

// comeBack has the log of a primary that was replaced again: what was taken since
// is lost.
func (w *world) comeBack(n int) (found bool) {
	if len(w.shelf) == 0 {
		return false
	}
	s := w.shelf[n%len(w.shelf)]
	if end := s.log[len(s.log)-1]; w.clock >= end.ID.MS+uint64(modelTTL.Milliseconds()) {
		return false // it has expired there too
	}
	w.back = true
	w.shelve()
	for _, m := range w.log {
		m.lost = true
	}
	w.log, w.trimmed = s.log, s.trimmed
	w.life++
	for i, m := range w.log {
		e := w.epochs[m.ID.Epoch]
		e.back = true
		w.epochs[m.ID.Epoch] = e
		m.returned = m.returned || m.lost || m.cleared
		m.lost, m.cleared, m.wiped, m.life = false, false, false, w.life
		m.trimmed = m.trimmed || i < w.trimmed
	}
	return true
}

// lose takes back the newest n messages; what had been trimmed before them
// was not trimmed there yet.
func (w *world) lose(n int) {
	n = min(n, len(w.log))
	var first ID // what came before the log's first message
	if len(w.log) > 0 {
		first = w.log[0].Prev
	}
	for _, m := range w.log[len(w.log)-n:] {
		m.lost = true
	}
	w.log = slices.Clip(w.log[:len(w.log)-n])
	w.trimmed = min(w.trimmed, max(0, len(w.log)-w.size))
	if n > 0 && len(w.log) == 0 {
		w.expired = first
		w.beginLog()
	}
}

// answer is what the primary answers to q now.
func (w *world) answer(q Query) *Page {
	p := &Page{Epoch: w.epoch, End: w.end(), Now: w.clock, TTL: modelTTL}
	if p.End.IsZero() {
		p.PreviousEnd = w.past()
		w.wasEmpty(p.EndCursor())
	}
	kept := w.kept()
	if p.End.IsZero() || q.Cursor.IsZero() && !q.Backward && q.Limit > 0 {
		if w.since.IsZero() && len(kept) > 0 {
			w.since = ID{MS: kept[0].ID.MS, Epoch: kept[0].ID.Epoch}
		} else if w.since.IsZero() {
			w.since = ID{MS: w.clock, Epoch: w.epoch}
		}
		p.IntactSince = w.since
	}
	if q.Backward {
		for i := len(kept) - 1; i >= 0 && len(p.Messages) < q.Limit; i-- {
			if q.Cursor.IsZero() || kept[i].ID.Compare(q.Cursor) < 0 {
				p.Messages = append(p.Messages, kept[i].Message)
			}
		}
		p.More = q.Limit > 0 && len(p.Messages) == q.Limit
		return p
	}
	for _, m := range kept {
		if len(p.Messages) < q.Limit && m.ID.Compare(q.Cursor) > 0 {
			p.Messages = append(p.Messages, m.Message)
		}
	}
	p.More = q.Limit > 0 && len(p.Messages) == q.Limit
	return p
}

// name is how the story calls an ID: the message's order, and its ms, counter
// and epoch.
func (w *world) name(id ID) string {
	m := w.byID[id]
	switch {
	case id.IsZero():
		return "0-0"
	case id.isStart():
		return fmt.Sprintf("empty at %d", id.emptyAt())
	case m == nil:
		return "unknown " + id.String()
	}
	return fmt.Sprintf("#%d(%d.%d e%d)", m.order, id.MS, id.Counter, w.epochs[id.Epoch].number)
}

func (w *world) cursorName(c Cursor) string {
	if c == CursorAfter(c.ID) {
		return w.name(c.ID)
	}
	return fmt.Sprintf("%s~e%d", w.name(c.ID), w.epochs[c.Epoch].number)
}

func (w *world) pageName(p *Page) string {
	names := make([]string, len(p.Messages))
	for i, m := range p.Messages {
		names[i] = w.name(m.ID)
	}
	return fmt.Sprintf("[%s] of a log that ends at %s in e%d", strings.Join(names, " "), w.name(p.End), w.epochs[p.Epoch].number)
}
