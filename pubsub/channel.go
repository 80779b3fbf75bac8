package pubsub

import (
	"errors"
	"sync/atomic"
	"time"
)

// Channel is one channel that is open at a hub: its tail, shared by all
// subscribers there. Each subscriber has one hold on it, see Hub.Busiest, and each
// hold needs one Release. Its methods may be called concurrently.
type Channel struct {
	tail
	hub     *Hub
	opening atomic.Pointer[opening]
	closed  atomic.Bool // the hub has let it go

	// Guarded by Hub.mu.
	users     int
	observers int       // those of users that Busiest leaves out
	unused    time.Time // since when users is 0

	// Guarded by syncer.mu.
	sync  syncState
	retry *backoff // of reading the log; nil: the last time was a success

	// Guarded by tail.mu: a ring, with its own end as the only element while
	// there are no watchers.
	watchers Watch
	// Guarded by tail.mu: since when the log is not given to the tail, because a
	// takeover is not confirmed; zero: it is given.
	unconfirmed time.Time
}

// opening is what subscribers wait for while a tail is not open. An open tail has none of
// its own: most channels of a node are open and idle.
type opening struct {
	ready  chan struct{} // closed by the syncer once the tail is open
	broken chan struct{} // closed by the syncer if the log could not be read before that
}

func newOpening() *opening {
	return &opening{ready: make(chan struct{}), broken: make(chan struct{})}
}

// opened is the opening of every tail that is open.
var opened = func() *opening {
	o := newOpening()
	close(o.ready)
	return o
}()

// unconfirmedAfter is how long a takeover may wait for its confirmation before new
// subscribers are refused. They would get nothing, not even a gap.
const unconfirmedAfter = 2 * time.Second

// isUnconfirmed reports whether new subscribers are refused. The tail must be
// locked.
func (c *Channel) isUnconfirmed() bool {
	return !c.unconfirmed.IsZero() && time.Since(c.unconfirmed) >= unconfirmedAfter
}

// readFailed notes why a read of the log has failed.
func (c *Channel) readFailed(err error) {
	if !errors.Is(err, ErrUnconfirmed) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unconfirmed.IsZero() {
		c.unconfirmed = time.Now()
	}
}

// Watch is one watcher of a channel: a link of the list that the channel
// keeps, so that watching costs no memory but this. The zero value is not
// watching.
type Watch struct {
	watcher    Watcher
	prev, next *Watch
}

// Watcher is called when a channel's tail has grown, with the new items. Grown must
// neither block nor call the channel, which is locked. The items must not be
// changed.
type Watcher interface{ Grown(items []Item) }

func newChannel(name string, h *Hub) *Channel {
	c := &Channel{tail: tail{limits: h.options.Tail, follow: logReader{channel: name}}, hub: h}
	c.opening.Store(newOpening())
	c.watchers.prev, c.watchers.next = &c.watchers, &c.watchers
	return c
}

// Name is the channel's name.
func (c *Channel) Name() string { return c.follow.channel }

// Hub is the hub at which the channel is open.
func (c *Channel) Hub() *Hub { return c.hub }

// Watch calls w for every item at or after place, until Unwatch(link). at is the cursor
// there.
func (c *Channel) Watch(link *Watch, w Watcher) (place uint64, at Cursor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := &c.watchers
	*link = Watch{watcher: w, prev: end.prev, next: end}
	link.prev.next, end.prev = link, link
	return c.end()
}

// Unwatch ends a Watch. It may be called more than once, and without Watch.
func (c *Channel) Unwatch(link *Watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if link.watcher == nil {
		return
	}
	link.prev.next, link.next.prev = link.next, link.prev
	*link = Watch{}
}

// notifyWatchers reports what has been appended since the tail's end was at place.
// The tail must be locked.
func (c *Channel) notifyWatchers(place uint64) {
	if end, _ := c.end(); end > place {
		for link := c.watchers.next; link != &c.watchers; link = link.next {
			link.watcher.Grown(c.items[place-c.first:])
		}
	}
}

// TryAcquire finds where s begins in its channel's tail, and the cursor there, if
// the channel is open, ready, and its tail holds the place; it never waits. The
// channel is the caller's to Release. CountResumes counts it.
func (h *Hub) TryAcquire(s Start) (c *Channel, place uint64, at Cursor, ok bool) {
	h.mu.Lock()
	c = h.open[s.Channel]
	if c != nil {
		c.users++
	}
	h.mu.Unlock()
	if c == nil {
		return nil, 0, Cursor{}, false
	}
	c.mu.Lock()
	switch {
	case !c.opened, c.noLog, c.isUnconfirmed():
	case s.From == From{}:
		place, at = c.end()
		ok = true
	case s.From.Cursor != nil:
		place, at, ok = c.locate(*s.From.Cursor)
	}
	c.mu.Unlock()
	if !ok {
		c.Release()
		return nil, 0, Cursor{}, false
	}
	return c, place, at, true
}

// ItemsFrom returns the tail's items that begin at place, at most limit. ok is false if
// place has left the tail. The items must not be changed.
func (c *Channel) ItemsFrom(place uint64, limit int) (items []Item, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.from(place, limit)
}

// Retain is one more hold on the channel, with a Release of its own. The
// caller must hold the channel.
func (c *Channel) Retain() {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.users++
}

// observe adds n to the number of observers.
func (c *Channel) observe(n int) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.observers += n
}

// Release lets go of the channel.
func (c *Channel) Release() {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if c.users--; c.users == 0 {
		c.unused = time.Now()
	}
}
