package conn

import (
	"net/http"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// FastFunc admits a stream or poll without waiting. ok is false if the request is not
// one, is refused, or would have to wait: it then falls back to the server. r has no
// body, except for polls of an Answerer, which are POST requests. Its context never ends. A nil FastFunc admits nothing.
type FastFunc func(r *http.Request) (next FastResult, ok bool)

// FastPath admits the first request on a new connection, see Parker.EnableFastPath.
type FastPath struct {
	Header http.Header // of answers, unless FastResult has one
	Node   string      // Stream.Node
	Stream FastFunc    // admits streams; called for one connection at a time
	Poll   FastFunc    // admits polls that wait, and the next polls on their connections; must be safe for concurrent use
}

// FastResult is an admitted stream or poll in channels that are open.
type FastResult struct {
	Cursors   *pubsub.CursorSet
	Starts    []pubsub.Start    // of Channels; nil: none has a filter
	Channels  []*pubsub.Channel // the receiver calls Release, or joins their feeds
	Positions []uint64          // in the tails of Channels
	Format    wire.Format       // of a stream
	Coding    Coding            // of a stream
	Wait      time.Duration     // of a poll, more than 0
	Skip      string            // the sender whose messages are left out; "": none are
	Session   Session
	Trusted   bool        // exempts the connection from the limit of its address
	Header    http.Header // of the answer; nil: FastPath.Header
	Admit     func() bool // called when its position is certain; false: it falls back; nil: it does not
	Began     func()      // called when it begins, if not nil
	Answerer  Answerer    // as in Poll; then Interrupt and NextPoll are too
	Interrupt *Interrupt
	NextPoll  FastFunc
	Ended     func(CloseReason) // called once, when it has ended; with FellBack it never began
	Repeater  Repeater          // of a poll whose query has one `cursor`; nil: the next request is parsed
}

// Repeater admits the polls after one that was admitted, on the same connection, if their
// requests have the same bytes except for the value of `cursor`.
type Repeater interface {
	// Repeat admits a poll that begins after cursor. It appends to next.Channels and
	// next.Positions, moves next.Cursors, and sets next.Session and next.Ended; all else is
	// as before, and no channel has a filter. The poll has then begun. false: it is not
	// admitted so, and the request has to be parsed. A writer calls Repeat for one of its
	// connections at a time; it must not block.
	Repeat(cursor []byte, next *FastResult) bool
}

// filter returns the filter of the i-th channel, or nil.
func (r *FastResult) filter(i int) *pubsub.Filter {
	if r.Starts == nil {
		return nil
	}
	return r.Starts[i].Filter
}

// Release releases the channels.
func (r *FastResult) Release() {
	for _, c := range r.Channels {
		c.Release()
	}
}

// begin calls Began.
func (r *FastResult) begin() {
	if r.Began != nil {
		r.Began()
	}
}
