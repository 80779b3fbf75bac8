package conn

import (
	"errors"
	"time"
	"unique"

	"golang.org/x/sys/unix"

	"comet/gateway/deflate"
	"comet/gateway/wire"
	"comet/pubsub"
)

// parked is a stream or poll that is nothing but a socket and its positions. After
// writer.add only the writer may use it.
type parked struct {
	writer      *writer
	fd          int32 // non-blocking, ours alone
	ticket      ticket
	index       int32  // in registry.all
	writtenTick uint32 // when something was last written
	dueTick     uint32 // when it is scheduled; 0: never
	dueIndex    int32  // in schedule.due[dueTick]
	format      wire.Format
	reason      reasonCode  // of its end: with its session, or sent already
	blocked     bool        // the socket is full, until the poller says otherwise
	readable    bool        // of a poll: something has come that was not read
	midChunk    bool        // the last write ended inside a chunk
	reasonSent  bool        // the client knows reason
	removed     bool        // the writer does not have it any more
	gzip        bool        // a stream with gzip: its feed is compressed
	sharesGzip  bool        // it gets the shared parts of its feed, and its position is in them; false: stored ones
	sum         deflate.Sum // of a stream with gzip
	issued      int64       // when its credential was issued, in Unix ms; 0: unknown
	until       int64       // the end of its session, in Unix ms; 0: never
	user        unique.Handle[string]
	positions   []position    // one per channel
	single      [1]position   // positions of a stream of one channel
	unshared    *unshared     // nil: a stream of one channel, which shares its encoding
	poll        *poll         // nil: a stream
	owner       *addressConns // counts the connection; nil: nothing does
	ended       func(CloseReason)
}

// position is where a stream is in one channel.
type position struct {
	shard *shard
	slot  int32 // in shard.slots
	// next is the offset of the next byte in the feed or, with an unshared encoder,
	// the position of the next item in the tail.
	next uint64
}

// unshared is the state of a connection with an encoder of its own: a stream of
// several channels, because its combination of cursors is unique, one that leaves out the
// messages of a sender, or a poll.
type unshared struct {
	cursors *pubsub.CursorSet
	skip    unique.Handle[string] // the sender whose messages are left out; zero: none are
	filters []*pubsub.Filter      // of the positions; nil: none has one
	pending []byte                // encoded, but the socket was full
	first   int                   // the channel to take from first, so that a busy one does not starve others
}

// poll is what a connection has in addition when it long-polls. Between two polls
// it is idle, without positions, and keeps unshared only if the next one may be a repetition.
type poll struct {
	header    unique.Handle[string] // of the answer, without date and length; nearly all are equal
	next      FastFunc
	read      string // the part of the next request that was read already
	wait      time.Duration
	idleUntil uint32 // the tick at which an idle connection is closed
	waiting   bool
	other     *otherPoll // nil: the answers are those of wire.Poll
	repeated  *repeated  // nil: the next request is parsed

	older, newer *parked // in registry.idle
}

// needsFeed reports whether p's feed must keep what p waits to write. An unshared
// encoder needs only the tail.
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

// discardInput reads what the client has sent after its request. Unread input would
// make close reset the connection, and the client might lose the last bytes.
func (p *parked) discardInput() {
	var b [4 << 10]byte
	for range 16 {
		if n, _ := readNow(int(p.fd), b[:]); n < len(b) {
			return
		}
	}
}

// skips reports whether p leaves out the messages of a sender.
func (u *unshared) skips() bool { return u.skip != unique.Handle[string]{} }

// setSkip makes u leave out the messages of a sender; none if sender is "".
func (u *unshared) setSkip(sender string) {
	if sender != "" {
		u.skip = unique.Make(sender)
	}
}

// takeItems appends the next items of all channels to all, which is empty, and moves the
// positions: about limit items at most, and no more after maxUnsharedBytes. Messages that
// p leaves out are items without a message. ok is false if a position has left its tail.
func (p *parked) takeItems(all []pubsub.Delivery, limit int) (_ []pubsub.Delivery, ok bool) {
	all, ok = p.takeAll(all, limit)
	if p.unshared.skips() {
		leaveOut(all, p.unshared.skip.Value())
	}
	return all, ok
}

// takeAll is takeItems with the messages that p leaves out.
func (p *parked) takeAll(all []pubsub.Delivery, limit int) (_ []pubsub.Delivery, ok bool) {
	bytes := 0
	p.unshared.first = (p.unshared.first + 1) % len(p.positions)
	for n := range p.positions {
		i := (p.unshared.first + n) % len(p.positions)
		place := &p.positions[i]
		items, ok := place.channel().ItemsFrom(place.next, max(1, limit-len(all)))
		if !ok {
			return all, false
		}
		filter := p.unshared.filter(i)
		for _, it := range filter.Apply(items) {
			if bytes > maxUnsharedBytes {
				return all, true
			}
			place.next++
			silent := it.Message == nil && it.Gap == nil
			if silent && p.poll != nil && p.poll.other != nil { // an Answerer moves the cursors itself
				all = append(all, pubsub.Delivery{Channel: i, Item: it})
				continue
			}
			if silent {
				// The log began again, which subscribers need not know, or it is not for this
				// one. The cursor moves with what comes after all that the client has.
				if filter != nil && len(all) == 0 {
					p.unshared.cursors.Set(i, it.After)
				}
				continue
			}
			if it.Message != nil {
				bytes += len(it.Message.Data)
			}
			all = append(all, pubsub.Delivery{Channel: i, Item: it})
		}
	}
	return all, true
}

// filter returns the filter of the i-th position, or nil.
func (u *unshared) filter(i int) *pubsub.Filter {
	if u.filters == nil {
		return nil
	}
	return u.filters[i]
}

// maxUnsharedBytes bounds what a stalled connection with an unshared encoder holds.
const maxUnsharedBytes = 64 << 10

// outrun reports whether p is too slow: the feed or tail has dropped its position.
func (p *parked) outrun() bool {
	if p.unshared == nil {
		return p.single[0].shard.forgotten(p)
	}
	for i := range p.positions {
		if _, ok := p.positions[i].channel().ItemsFrom(p.positions[i].next, 0); !ok {
			return true
		}
	}
	return false
}

func (p *position) channel() *pubsub.Channel { return p.shard.feed.key.channel }
