package conn

import (
	"net/http"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// FastFunc reads the next request on a poll's connection, without waiting, and lets
// another poll in. Anything else (ok is false) goes the long way, through the
// server. A nil FastFunc lets nothing in.
type FastFunc func(r *http.Request) (next FastResult, ok bool)

// FastPath lets in who comes with a new connection, where nothing has to be waited
// for. Its functions are called one at a time.
type FastPath struct {
	Header http.Header // of an answer, unless FastResult has another
	Node   string      // as Stream.Node
	Stream FastFunc    // of streams
	Poll   FastFunc    // of polls that wait, and of those after them
}

// FastResult is where a stream or poll that is let in goes on, in channels that are
// open.
type FastResult struct {
	Cursors   *pubsub.CursorSet
	Channels  []*pubsub.Channel // the taker's to Release
	Positions []uint64          // in each channel's tail
	Format    wire.Format       // of a stream
	Wait      time.Duration     // of a poll, more than 0
	Session   Session
	Trusted   bool              // a back end's: its connection does not count for its address
	Header    http.Header       // of the answer; nil: the FastPath's
	Admit     func() bool       // called once its place is certain; false: it goes elsewhere; nil: it is admitted
	Began     func()            // called when it begins; nil: nobody wants to know
	Ended     func(CloseReason) // called once, when it is over, with the reason; FellBack: it never began
}

// Release lets go of the channels.
func (n *FastResult) Release() {
	for _, c := range n.Channels {
		c.Release()
	}
}

// begin says that it begins.
func (n *FastResult) begin() {
	if n.Began != nil {
		n.Began()
	}
}
