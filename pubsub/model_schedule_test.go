package pubsub

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// mode is what kinds of trouble a schedule has.
type mode uint8

const (
	// allTrouble: everything.
	allTrouble mode = iota
	// onlyLinks: the log keeps all messages, so no client may get a gap.
	onlyLinks
	// onlyLog: it is trimmed and expires, but no link breaks and no tail
	// overflows: a subscriber that keeps up gets a gap only if it lacks
	// something.
	onlyLog
	modes
)

// anyMode and allTogether are the modes that have an operation.
const (
	anyMode     = allTrouble
	allTogether = modes
)

// operation is one step of a schedule. The choices a, b and c are taken modulo the
// number of candidates, and an operation that does not apply does nothing. So any
// part of a schedule is a schedule.
type operation struct {
	kind    int
	a, b, c uint32
}

// kinds are the operations, with how often they are drawn. Each schedule draws
// some of them more often, and some not at all.
var kinds = []struct {
	name    string
	weight  int
	trouble mode // which schedules have it, apart from those with all
	do      func(w *world, o operation)
}{
	{name: "publish", weight: 24, do: func(w *world, o operation) {
		for range 1 + o.a%2 {
			w.publish()
		}
	}},
	{name: "publish ephemeral", weight: 2, do: func(w *world, _ operation) {
		w.relay(&Message{Channel: modelChannel, Type: DefaultType}, false)
	}},
	{name: "tick", weight: 12, do: func(w *world, o operation) { w.clock += uint64(1 + o.a%3) }},
	{name: "relay", weight: 30, do: func(w *world, o operation) {
		for range 1 + o.b%4 {
			w.node(o.a).relay()
		}
	}},
	{name: "sync", weight: 30, do: func(w *world, o operation) {
		for range 1 + o.b%3 {
			w.node(o.a).sync(o.c%16 == 0)
		}
	}},
	{name: "step", weight: 40, do: func(w *world, o operation) {
		for range 1 + o.b%4 {
			w.client(o.a).step(1+int(o.c%3), o.c%16 == 0)
		}
	}},
	{name: "come", weight: 16, do: func(w *world, o operation) { w.client(o.a).come(w.node(o.b), int(o.c)) }},
	{name: "leave", weight: 6, do: func(w *world, o operation) { w.client(o.a).leave() }},
	{name: "let go", weight: 2, do: func(w *world, o operation) { w.node(o.a).letGo() }},
	{name: "sweep", weight: 2, do: func(w *world, o operation) { w.node(o.a).hub.sweep() }},

	{name: "lose link", weight: 5, trouble: onlyLinks, do: func(w *world, o operation) { w.node(o.a).lose() }},
	{name: "relink", weight: 8, trouble: onlyLinks, do: func(w *world, o operation) { w.node(o.a).relink() }},

	{name: "trim", weight: 2, trouble: onlyLog, do: func(w *world, o operation) { w.trim(1 + int(o.a%3)) }},
	{name: "rest", weight: 4, trouble: onlyLog, do: func(w *world, o operation) {
		if w.quiet() {
			rest := modelTTL * time.Duration(1+o.a%6) / 4
			if o.b%8 == 0 {
				rest += EndTTL(modelTTL)
			}
			w.rest(uint64(rest.Milliseconds()))
		}
	}},
	{name: "wipe", weight: 1, trouble: allTogether, do: func(w *world, _ operation) { w.wipe() }},

	{name: "restart", weight: 2, trouble: allTogether, do: func(w *world, o operation) {
		w.failover(o, 0)
		for _, n := range w.nodes {
			n.lose()
		}
	}},
	{name: "failover", weight: 4, trouble: allTogether, do: func(w *world, o operation) {
		w.failover(o, 1+int(o.a%4))
		w.clock -= min(w.clock-1, uint64(o.b%8))
	}},
	{name: "come back", weight: 3, trouble: allTogether, do: func(w *world, o operation) {
		if w.comeBack(int(o.a)) {
			w.change(o, false)
		}
	}},
	{name: "promote", weight: 2, trouble: allTogether, do: func(w *world, o operation) { w.failover(o, 0) }},
}

func (w *world) node(i uint32) *node     { return w.nodes[int(i)%len(w.nodes)] }
func (w *world) client(i uint32) *client { return w.clients[int(i)%len(w.clients)] }

// quiet reports whether nothing is under way or waits to be read: a log lives
// for long after its last message, and a dead link is noticed much sooner.
func (w *world) quiet() bool {
	return !slices.ContainsFunc(w.nodes, func(n *node) bool {
		return len(n.link.flight) > 0 || len(n.reads) > 0 || len(n.hub.syncer.queue) > 0 || n.link.severed
	})
}

// failover makes another primary, without the newest lost messages. Each link
// breaks at once, later, or not at all: it may be to a replica, which becomes
// the primary and never has what is lost.
func (w *world) failover(o operation, lost int) {
	w.shelve()
	w.lose(lost)
	w.change(o, true)
}

// change makes another primary of the log that is there. followed says that a link
// may be to it already.
func (w *world) change(o operation, followed bool) {
	w.begin(uint64(o.c) * 0x9e3779b97f4a7c15)
	w.tell("the log ends at %s", w.name(w.end()))
	for i, n := range w.nodes {
		switch kind := o.c >> (2 * i) % 4; {
		case kind == 0:
			n.lose()
		case kind < 3 || !followed:
			n.link.severed, n.link.carrying = true, false
		default:
			n.link.flight = slices.DeleteFunc(n.link.flight, func(c carried) bool {
				return c.message != nil && !c.message.Ephemeral() && w.byID[c.message.ID].lost
			})
		}
	}
}

// applies reports whether schedules of mode m have the kind k of operation.
func applies(k int, m mode) bool {
	return m == allTrouble || kinds[k].trouble == anyMode || kinds[k].trouble == m
}

// draw makes the schedule of a seed.
func draw(seed uint64) (setup, []operation) {
	r := rand.New(rand.NewPCG(seed, 0))
	s := setup{
		seed: seed, mode: mode(r.IntN(4)) % modes,
		nodes: 1 + r.IntN(3), clients: 2 + r.IntN(3),
		size: 2 + r.IntN(8), page: 1 + r.IntN(4),
		limits: TailLimits{Messages: 1 + r.IntN(8), Bytes: 1 << 20},
	}
	switch s.mode {
	case onlyLinks:
		s.size = 1 << 20
	case onlyLog:
		s.limits.Messages = 1000
	}
	s.large = r.IntN(4) == 0
	if r.IntN(8) == 0 {
		s.limits.Bytes = 128 * (1 + r.IntN(6))
	}
	var wheel []int
	for k := range kinds {
		if applies(k, s.mode) {
			wheel = append(wheel, slices.Repeat([]int{k}, kinds[k].weight*r.IntN(4))...)
		}
	}
	// Every schedule needs these, which move the rest.
	wheel = append(wheel, 0, 3, 4, 5, 6)
	ops := make([]operation, 40+r.IntN(120))
	for i := range ops {
		ops[i] = operation{wheel[r.IntN(len(wheel))], r.Uint32(), r.Uint32(), r.Uint32()}
	}
	return s, ops
}

// run carries out a schedule and then lets everything come to rest. It returns
// the story, if asked, and the first broken rule.
func run(s setup, ops []operation, tracing bool) (story string, err error) {
	w := newWorld(s)
	w.tracing = tracing
	var b strings.Builder
	tell := func(name string) {
		if tracing {
			fmt.Fprintf(&b, "  %s%s\n", name, strings.Replace(w.story, "; ", ": ", 1))
			w.story = ""
		}
	}
	for _, o := range ops {
		kinds[o.kind].do(w, o)
		tell(kinds[o.kind].name)
		if w.err != nil {
			return b.String(), w.err
		}
	}
	w.heal()
	w.complete()
	tell("heal")
	w.publish()
	w.settle()
	w.complete()
	w.atRest()
	tell("publish and settle")
	for _, c := range w.clients {
		c.leave()
	}
	return b.String(), w.err
}

// heal repairs every link and waits until nothing moves any more.
func (w *world) heal() {
	w.clock = max(w.clock, w.end().MS) + 10
	for _, n := range w.nodes {
		if n.link.severed {
			n.lose()
		}
		n.relink()
	}
	w.settle()
}

// settle moves everything until nothing moves any more.
func (w *world) settle() {
	for range 100 {
		moved := false
		for _, n := range w.nodes {
			for range 50 {
				moved = n.relay() || moved
				moved = n.sync(false) || moved
			}
		}
		for i, c := range w.clients {
			if c.started && c.node == nil {
				c.come(w.node(uint32(i)), 0)
				moved = true
			}
			for range 10 {
				moved = c.step(3, false) || moved
			}
		}
		if !moved || w.err != nil {
			return
		}
	}
	w.fail("it does not come to rest")
}

// complete checks that everybody has what there is.
func (w *world) complete() {
	newest := w.order(w.end())
	for _, c := range w.clients {
		if c.node != nil && w.order(c.at.Last()) < newest {
			w.fail("client %d: at %s when all is over, not at %s", c.name, w.name(c.at.ID), w.name(w.end()))
		}
	}
	for _, n := range w.nodes {
		for _, t := range n.hub.open {
			if w.order(t.follow.at.Last()) < newest {
				w.fail("node %d: at %s when all is over, not at %s", n.name, w.name(t.follow.at.ID), w.name(w.end()))
			}
		}
	}
}

// atRest checks that every tail is live and ends where the log does.
func (w *world) atRest() {
	for _, n := range w.nodes {
		for _, t := range n.hub.open {
			if t.state != live || !t.unbroken || len(t.pending) > 0 || t.follow.at != CursorAfter(w.end()) {
				w.fail("node %d: at %v in state %d with %d pending when all is over", n.name, t.follow.at, t.state, len(t.pending))
			}
		}
	}
}

// shrink takes operations out of a failing schedule as long as it fails.
func shrink(s setup, ops []operation) []operation {
	for size := len(ops) / 2; size > 0; {
		smaller := false
		for i := 0; i+size <= len(ops); {
			if less := slices.Delete(slices.Clone(ops), i, i+size); broken(s, less) {
				ops, smaller = less, true
			} else {
				i += size
			}
		}
		if !smaller || size > len(ops) {
			size /= 2
		}
	}
	return ops
}

func broken(s setup, ops []operation) bool {
	_, err := run(s, ops, false)
	return err != nil
}
