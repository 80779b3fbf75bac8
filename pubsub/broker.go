package pubsub

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Broker connects the nodes: it keeps a log for each channel and relays each
// new message to the nodes that subscribed to its channel. There is one Broker
// a node; the logs belong to all. Every implementation passes pubsubtest.
//
// The messages of a channel with an index log (see Index) are also appended to that
// and relayed to the nodes that subscribed to it, in the same step, with the same ID. To
// Read, Shard, Subscribe and Unsubscribe an index log is one channel more. Retention is
// asked about index logs by their names too.
//
// All methods may be called concurrently. After Close they return ErrClosed.
type Broker interface {
	NodeRegistry

	// Publish appends the drafts to their channels' logs, relays them, and
	// returns one receipt a draft, in order. Drafts of one channel keep their
	// order. Drafts must be valid (Draft.Validate).
	Publish(ctx context.Context, drafts []Draft) []Receipt

	// Read answers each query from the log as its primary has it at one
	// moment. One failed page does not fail the others. It returns as soon as ctx
	// ends, with the pages that there are.
	Read(ctx context.Context, queries []Query) []Page

	// Shard is the primary that has the channel's log, as far as it is known; it
	// does not ask. Shards are only compared. Of one that does not answer, the
	// queries for others in the same Read wait for its timeout.
	Shard(channel string) any

	// UpdateLeases takes in what this node says of the presence in channels, each once,
	// and publishes the resulting joins and leaves to their subscribers. One that
	// failed does not fail the others.
	UpdateLeases(ctx context.Context, leases []Lease) []LeaseResult

	// Members is a page of who is in the channel: at most limit, which is 1 to
	// MaxMembers, of the users that follow after; "": from the first.
	Members(ctx context.Context, channel, after string, limit int) (MemberPage, error)

	// Relay calls sink until ctx ends or the broker is closed, then returns.
	// It is called at most once. Sink is never called after it returned.
	Relay(ctx context.Context, sink Sink) error

	// Subscribe and Unsubscribe say which channels Relay shall carry. They
	// return at once; Sink.Subscribed reports when a channel is carried. A
	// broken relay reconnects and subscribes its channels again by itself.
	Subscribe(channels ...string)
	Unsubscribe(channels ...string)

	// Close may be called at any time and more than once, and waits for what
	// is under way.
	Close() error
}

// Sink takes what a relay carries. Calls for one channel come one at a time;
// those for different channels may be concurrent. The methods must not block, and
// must not call the broker's Publish, Read or Close.
type Sink interface {
	// Subscribed: from now on every message of channel reaches Received in
	// the order of its log, until Disconnected or Unsubscribe. Earlier messages
	// must be read. It is called again after each Disconnected.
	Subscribed(channel string)
	// Received: a message of a subscribed log, or one without Data that is
	// only announced, because it is too large to be relayed: it is in the log.
	// The sink keeps m. The log is a channel's or an index log's, see Index.
	Received(log string, m *Message)
	// Disconnected: any number of messages of these channels may have been missed since
	// a time at which they were carried whole, and none comes until Subscribed.
	Disconnected(since time.Time, channels ...string)
}

// Receipt is the outcome of one draft.
type Receipt struct {
	ID        ID   // zero if ephemeral
	Duplicate bool // the key was seen before: ID is the first one's, nothing was published
	Err       error
}

// Limits of a Query.
const (
	MaxPage   = 1000      // the largest Limit
	PageBytes = 256 << 10 // the largest Bytes
)

// Query asks for a part of one channel's log.
type Query struct {
	Channel string
	// Cursor is exclusive: messages newer than it, oldest first; with
	// Backward older than it, newest first. The zero ID is before the first
	// message and, with Backward, after the last.
	Cursor   ID
	Backward bool
	// Epoch is the epoch that the reader was in last, which may be another
	// than Cursor's, see Cursor: it is what Page.Epochs is about. Zero: none.
	Epoch Epoch
	// Limit is 0 to MaxPage messages; 0 asks for End and Epoch alone.
	Limit int
	// Bytes is how many bytes of data the page may have, up to PageBytes; 0:
	// PageBytes. The first message is returned whatever its size.
	Bytes int
}

// MaxBytes is the bound that Bytes stands for.
func (q *Query) MaxBytes() int {
	if q.Bytes == 0 {
		return PageBytes
	}
	return q.Bytes
}

// Page answers a Query. Its parts were true at the same moment.
type Page struct {
	Epoch    Epoch      // of the primary that answered; never 0
	End      ID         // the newest message's; zero: no log, or an empty one
	Messages []*Message // an entry that is no message is Unreadable
	// Now is the primary's clock in Unix ms, where End is zero.
	Now uint64
	// IntactSince is the time since when nothing has removed all data at once, as FLUSHALL
	// does, by the clock of a primary, and that one's epoch. It is set where the log
	// is empty, and for a query from its beginning; zero: not known.
	IntactSince ID
	// TTL is how long the log is kept after its newest message, by the rule for the
	// channel.
	TTL time.Duration
	// PreviousEnd is the newest message of the log before, where End is zero and it is known,
	// see EndTTL.
	PreviousEnd ID
	// More: the page ended at Query.Limit or Query.Bytes, so that the log may have
	// more in its direction. With Limit 0 it is false.
	More bool
	// Epochs is set if the page is of several epochs, or of another than
	// Query.Epoch. It describes the moment at which the page was read.
	Epochs EpochHistory
	Err    error // then nothing else is set
}

// EndCursor is the cursor at the end of the log; also an empty log has one.
func (p *Page) EndCursor() Cursor {
	if p.End.IsZero() {
		return Cursor{ID: startAt(p.Now), Epoch: p.Epoch}
	}
	return Cursor{ID: p.End, Epoch: p.Epoch}
}

// EndTTL is how long a broker knows the ID of the newest message after it, of a
// log that is kept for ttl. Short-lived logs come and go while clients reconnect:
// what is known of them for longer says what those clients missed. The next message
// names it as its Prev.
func EndTTL(ttl time.Duration) time.Duration {
	if ttl < 10*time.Minute {
		return ttl + 2*time.Minute
	}
	return ttl
}

// sinceMS is p.IntactSince by the clock of the primary of epoch, in Unix ms. Where
// that is another primary's clock, it is the earliest time that it can be.
func (p *Page) sinceMS(epoch Epoch) uint64 {
	return p.IntactSince.MS - min(p.IntactSince.MS, skewMS(epoch, p.IntactSince.Epoch))
}

// Size is the bytes of data that the page has.
func (p *Page) Size() (n int) {
	for _, m := range p.Messages {
		n += len(m.Data)
	}
	return n
}

// Errors that every broker returns, wrapped.
var (
	// ErrUnavailable: the broker cannot be reached or will not take writes;
	// nothing was published. Trying again later is right.
	ErrUnavailable = errors.New("broker unavailable")
	// ErrUnconfirmed wraps ErrUnavailable: another primary answers a read than
	// the one that the reader knows, and it is not confirmed that it took over.
	// Nothing of its log may be given to the reader until it is.
	ErrUnconfirmed = fmt.Errorf("%w: the takeover of another primary is not confirmed", ErrUnavailable)
	// ErrUnreadable: what is in the place of the channel's log is no log. Other
	// channels are not affected. It is an ErrUnavailable.
	ErrUnreadable = fmt.Errorf("%w: the log cannot be read", ErrUnavailable)
	// ErrOutcomeUnknown: the publish was sent and not answered in time. It may
	// be delivered. Repeating it with the same key is safe.
	ErrOutcomeUnknown = errors.New("publish outcome unknown")
	// ErrKeyReused: a message of the same owner had the key, and was another one.
	// Nothing was published.
	ErrKeyReused = errors.New("idempotency key was used for another message")
	// ErrClosed: the broker or the hub was closed.
	ErrClosed = errors.New("closed")
)
