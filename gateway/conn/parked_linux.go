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
	writer   *writer
	fd       int32 // non-blocking, ours alone
	ticket   ticket
	index    int32  // in writer.all
	written  uint32 // writer.now when something was last written
	due      uint32 // the tick in writer.due; 0: it is not there
	slot     int32  // in writer.due[due]
	format   wire.Format
	why      byeCode // it ends so
	blocked  bool    // the socket is full: wait for the poller
	readable bool    // something has come and was not read; only of polls
	inside   bool    // what was written last ended inside a chunk
	said     bool    // a goodbye, with why
	gone     bool
	issued   int64 // what lets its user in, in Unix ms; 0: not known
	ends     int64 // the session, in Unix ms; 0: never
	user     unique.Handle[string]
	places   []place  // one a channel
	one      [1]place // places of a stream of one channel
	own      *own     // nil for a stream of one channel
	poll     *poll    // nil for a stream
	owner    *owner   // counts the connection; nil: it is not counted
	ended    func(CloseReason)
}

// place is where a stream is in one channel.
type place struct {
	shard *shard
	seat  int32 // in shard.seats
	// next is the offset of the next byte in the feed or, for what has its own
	// encoding, the place of the next item in the tail.
	next uint64
}

// own is what a connection has that encodes for itself: a stream of several
// channels, whose cursors no other has, and a poll.
type own struct {
	cursors *pubsub.CursorSet
	rest    []byte // encoded, but the socket was full
	turn    int    // the place to take from first, so that a busy channel does not starve others
}

// poll is what a connection has besides that long-polls. Between two polls it
// rests, without places.
type poll struct {
	waiting bool
	head    unique.Handle[string] // the answer's header, but for date and length; nearly all are alike
	again   FastFunc
	read    []byte // what of the next request was read already
	wait    time.Duration
	until   uint32 // writer.now when it has rested long enough

	older, newer *parked // in writer.idle
}

// needsFeed reports whether p's feed must keep what p waits to write. What
// encodes for itself needs only the tail.
func (p *parked) needsFeed() bool { return p.blocked && p.own == nil }

var errGone = errors.New("the client has gone")

// write writes as much of data as the socket takes now.
func (p *parked) write(data []byte) (n int, err error) {
	for {
		n, err = p.writer.socketWrite(int(p.fd), data)
		switch err {
		case nil:
			p.writer.tally.wroteBytes(p.transport(), n)
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		default:
			return 0, errGone
		}
	}
}

// discard takes what the client has sent behind its request. Unread, it would
// reset the connection when that is closed, and the last words with it.
func (p *parked) discard() {
	var b [4 << 10]byte
	for range 16 {
		if n, _ := unix.Read(int(p.fd), b[:]); n < len(b) {
			return
		}
	}
}

// take is what has come in any channel since it was last called, at most about
// limit items, and for more than one item about takeBytes; ok is false if a
// place has left its tail.
func (p *parked) take(limit int) (all []pubsub.Delivery, ok bool) {
	bytes := 0
	p.own.turn = (p.own.turn + 1) % len(p.places)
	for n := range p.places {
		i := (p.own.turn + n) % len(p.places)
		place := &p.places[i]
		items, ok := place.channel().From(place.next, max(1, limit-len(all)))
		if !ok {
			return nil, false
		}
		for _, it := range items {
			if bytes > takeBytes {
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

// takeBytes bounds what a stalled connection that encodes for itself can hold.
const takeBytes = 64 << 10

// behind reports whether p is slow: its place has been forgotten.
func (p *parked) behind() bool {
	if p.own == nil {
		return p.one[0].shard.behind(p.one[0].next)
	}
	for i := range p.places {
		if _, ok := p.places[i].channel().From(p.places[i].next, 0); !ok {
			return true
		}
	}
	return false
}

func (p *place) channel() *pubsub.Channel { return p.shard.feed.key.channel }
