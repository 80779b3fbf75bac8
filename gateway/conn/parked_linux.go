package conn

import (
	"errors"
	"time"
	"unique"

	"golang.org/x/sys/unix"

	"comet/gateway/wire"
	"comet/pubsub"
)

// parked is a stream or poll that is nothing but a socket and its places. Its
// writer owns it; who made it does not touch it after writer.add.
type parked struct {
	writer      *writer
	fd          int32 // non-blocking, ours alone
	ticket      ticket
	index       int32  // in writer.all
	writtenTick uint32 // writer.now when something was last written
	dueTick     uint32 // the tick in writer.due; 0: it is not there
	dueIndex    int32  // in writer.due[due]
	format      wire.Format
	reason      reasonCode // it ends so
	blocked     bool       // the socket is full: wait for the poller
	readable    bool       // something has come and was not read; only of polls
	midChunk    bool       // what was written last ended inside a chunk
	reasonSent  bool       // a goodbye, with why
	removed     bool
	issued      int64 // what lets its user in, in Unix ms; 0: not known
	until       int64 // the session, in Unix ms; 0: never
	user        unique.Handle[string]
	positions   []position    // one a channel
	single      [1]position   // places of a stream of one channel
	unshared    *unshared     // nil for a stream of one channel
	poll        *poll         // nil for a stream
	counted     *addressConns // counts the connection; nil: it is not counted
	ended       func(CloseReason)
}

// position is where a stream is in one channel.
type position struct {
	shard *shard
	slot  int32 // in shard.seats
	// next is the offset of the next byte in the feed or, for what has its own
	// encoding, the place of the next item in the tail.
	next uint64
}

// unshared is what a connection has that encodes for itself: a stream of several
// channels, whose cursors no other has, and a poll.
type unshared struct {
	cursors *pubsub.CursorSet
	pending []byte // encoded, but the socket was full
	first   int    // the place to take from first, so that a busy channel does not starve others
}

// poll is what a connection has besides that long-polls. Between two polls it
// rests, without places.
type poll struct {
	waiting   bool
	header    unique.Handle[string] // the answer's header, but for date and length; nearly all are alike
	next      FastFunc
	read      []byte // what of the next request was read already
	wait      time.Duration
	idleUntil uint32 // writer.now when it has rested long enough

	older, newer *parked // in writer.idle
}

// needsFeed reports whether p's feed must keep what p waits to write. What
// encodes for itself needs only the tail.
func (p *parked) needsFeed() bool { return p.blocked && p.unshared == nil }

var errGone = errors.New("the client has gone")

// write writes as much of data as the socket takes now.
func (p *parked) write(data []byte) (n int, err error) {
	for {
		n, err = p.writer.socketWrite(int(p.fd), data)
		switch err {
		case nil:
			p.writer.counters.addBytes(p.transport(), n)
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		default:
			return 0, errGone
		}
	}
}

// discardInput takes what the client has sent behind its request. Unread, it would
// reset the connection when that is closed, and the last words with it.
func (p *parked) discardInput() {
	var b [4 << 10]byte
	for range 16 {
		if n, _ := unix.Read(int(p.fd), b[:]); n < len(b) {
			return
		}
	}
}

// takeItems is what has come in any channel since it was last called, at most about
// limit items, and for more than one item about takeBytes; ok is false if a
// place has left its tail.
func (p *parked) takeItems(limit int) (all []pubsub.Delivery, ok bool) {
	bytes := 0
	p.unshared.first = (p.unshared.first + 1) % len(p.positions)
	for n := range p.positions {
		i := (p.unshared.first + n) % len(p.positions)
		place := &p.positions[i]
		items, ok := place.channel().From(place.next, max(1, limit-len(all)))
		if !ok {
			return nil, false
		}
		for _, it := range items {
			if bytes > maxUnsharedBytes {
				return all, true
			}
			place.next++
			if it.Message == nil && it.Gap == nil {
				continue // the log began anew, which says nothing
			}
			if it.Message != nil {
				bytes += len(it.Message.Data)
			}
			all = append(all, pubsub.Delivery{Channel: i, Item: it})
		}
	}
	return all, true
}

// maxUnsharedBytes bounds what a stalled connection that encodes for itself can hold.
const maxUnsharedBytes = 64 << 10

// outrun reports whether p is slow: its place has been forgotten.
func (p *parked) outrun() bool {
	if p.unshared == nil {
		return p.single[0].shard.forgotten(p.single[0].next)
	}
	for i := range p.positions {
		if _, ok := p.positions[i].channel().From(p.positions[i].next, 0); !ok {
			return true
		}
	}
	return false
}

func (p *position) channel() *pubsub.Channel { return p.shard.feed.key.channel }
