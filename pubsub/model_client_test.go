package pubsub

// client is one subscriber, on one node after the other. The model does what
// Subscribe and Next do, one step at a time.
type client struct {
	world    *world
	name     int
	node     *node // nil: away
	sub      *Subscriber
	place    *subscription // of sub; nil until its beginning was found
	attached bool          // the tail has opened
	from     From
	page     *Page // the answer to the read under way
	idle     bool  // waits until it is woken

	judged
}

// The ways in, for one that comes for the first time.
var firsts = []struct {
	name string
	from From
}{
	{name: "now"},
	{name: "earliest", from: From{Earliest: true}},
	{name: "last 2", from: From{Last: 2}},
	{name: "last 3", from: From{Last: 3}},
	{name: "0-0", from: From{Cursor: &Cursor{}}},
}

// come subscribes at node n: with its cursor if it has one.
func (c *client) come(n *node, first int) {
	if c.node != nil {
		return
	}
	f := firsts[first%len(firsts)]
	c.node, c.from = n, f.from
	if c.started {
		at := c.resume()
		c.from = From{Cursor: &at}
		c.world.tell("client %d: comes to node %d with %s", c.name, n.name, c.world.cursorName(at))
	} else {
		c.world.tell("client %d: comes to node %d for %s", c.name, n.name, f.name)
	}
	c.here = make(map[ID]bool)
	c.sub = &Subscriber{hub: n.hub, woken: make(chan struct{}, 1)}
	c.sub.places = []*subscription{{tail: n.hub.acquire(modelChannel), replay: logReader{channel: modelChannel}}}
}

// leave closes the subscription.
func (c *client) leave() {
	if c.node == nil {
		return
	}
	c.world.tell("client %d: leaves", c.name)
	c.sub.Close()
	c.node, c.sub, c.place, c.page, c.idle, c.attached = nil, nil, nil, nil, false, false
}

// step moves the client as far as one read or one delivery, and reports
// whether it moved. failed makes a read fail.
func (c *client) step(limit int, failed bool) bool {
	switch {
	case c.node == nil:
		return false
	case c.place == nil:
		return c.subscribe(failed)
	case c.page != nil:
		c.applyPage()
		return true
	case len(c.place.held) > 0:
		items := c.place.held[:min(limit, len(c.place.held))]
		c.place.held = c.place.held[len(items):]
		for _, it := range items {
			c.got(it, delivery{})
		}
		return true
	}
	return c.live(limit, failed)
}

// subscribe does what Subscribe does once the tail has opened.
func (c *client) subscribe(failed bool) bool {
	w, p := c.world, c.sub.places[0]
	switch {
	case !p.tail.opened:
		return false
	case !c.attached:
		if err := c.sub.attach(p, c.from); err != nil {
			w.fail("client %d: attach: %v", c.name, err)
		}
		c.attached = true
	case p.search != nil && c.page != nil:
		p.addPage(c.page, true)
		c.page = nil
	case p.search != nil && failed:
		c.leave()
		return true
	case p.search != nil:
		c.page = w.answer(p.query(w.page))
		w.tell("client %d: is answered %s", c.name, w.pageName(c.page))
	}
	if p.search != nil {
		return true
	}
	c.place = p
	c.start(c.sub.StartCursors()[0])
	if held := p.held; len(held) > 0 && held[0].Gap != nil {
		w.fail("client %d: begins with a gap %+v", c.name, *held[0].Gap)
	}
	w.tell("client %d: starts at %s", c.name, w.cursorName(p.start))
	return true
}

// live is what next does with nothing held.
func (c *client) live(limit int, failed bool) bool {
	w, p := c.world, c.place
	if c.idle {
		select {
		case <-c.sub.woken:
			c.idle = false
		default:
			return false
		}
	}
	items, ok, err := p.live(limit, PageBytes)
	switch {
	case err != nil:
		w.tell("client %d: %v", c.name, err)
		c.leave()
	case ok:
		c.idle = len(items) == 0
		for i, it := range items {
			life := c.node.silent[silentAt{&p.tail.tail, p.next - uint64(len(items)-i)}]
			c.got(it, delivery{live: true, life: life})
		}
	case !failed:
		c.page = w.answer(p.query(w.page))
		w.tell("client %d: replays %s", c.name, w.pageName(c.page))
	}
	return true
}

// applyPage is the rest of next: the answer to its read has come.
func (c *client) applyPage() {
	done := c.place.addPage(c.page, true)
	c.page = nil
	if done && len(c.place.held) == 0 {
		c.sub.hub.syncer.refresh(c.place.tail, BySubscriber)
	}
}
