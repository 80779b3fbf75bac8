package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"comet/pubsub"
)

// Kind says what an Event is.
type Kind uint8

// The kinds of events, and which fields each sets besides Cursor and Retry.
const (
	KindMessage Kind = iota // Message
	KindReady               // Node
	KindGap                 // Gap
	KindBye                 // Reason
	KindCursor              // nothing: only the cursor has moved
)

// Event is one event of a decoded stream.
type Event struct {
	Kind Kind
	// Message has no Prev, which is not on the wire. From an SSERaw stream it
	// has only Type and Data, and Data is always a JSON string: the stream
	// does not tell a payload of 42 from one of "42".
	Message *pubsub.Message
	Gap     *pubsub.Gap
	Node    string // that serves the stream
	Reason  string // why the server closes it
	// Cursor is where to resume after this event. An event that does not move it
	// repeats the last one; it is empty before the first.
	Cursor string
	// Retry is how long the server last asked to wait before reconnecting; 0 if it
	// has not.
	Retry time.Duration
}

// ErrMalformed is wrapped by every error of a decoder about its input.
var ErrMalformed = errors.New("not what Comet sends")

// object has the members of all of Comet's JSON objects. Event is its kind; a message
// has an empty one.
type object struct {
	Event  string `json:"event"`
	Cursor string `json:"cursor"`

	ID        string          `json:"id"` // message
	Channel   string          `json:"channel"`
	Type      string          `json:"type"`
	Data      json.RawMessage `json:"data"`
	Time      time.Time       `json:"time"`
	Ephemeral bool            `json:"ephemeral"`
	Tags      pubsub.Tags     `json:"tags"`

	From   string `json:"from"` // sender of a message; of a gap an ID, with Channel
	To     string `json:"to"`
	Reason string `json:"reason"` // gap and bye

	Node    string `json:"node"`  // ready
	RetryMS uint32 `json:"retry"` // bye, NDJSON only
}

// known reports whether a client of this version knows the event. Control
// events that it does not know are skipped, so that new ones can be added.
func known(event string) bool {
	return !strings.HasPrefix(event, pubsub.ControlPrefix) || isControl(event) ||
		event == pubsub.JoinType || event == pubsub.LeaveType
}

// isControl reports whether the event is one of the node's about the stream. Joins and
// leaves are messages.
func isControl(event string) bool {
	return event == eventReady || event == eventGap || event == eventCursor || event == eventBye
}

// decode turns o into an Event without Cursor and Retry.
func (o *object) decode() (Event, error) {
	switch o.Event {
	case eventReady:
		return Event{Kind: KindReady, Node: o.Node}, nil
	case eventGap:
		g, err := o.gap()
		return Event{Kind: KindGap, Gap: g}, err
	case eventCursor:
		return Event{Kind: KindCursor}, nil
	case eventBye:
		return Event{Kind: KindBye, Reason: o.Reason}, nil
	}
	m, err := o.message()
	return Event{Kind: KindMessage, Message: m}, err
}

func (o *object) message() (*pubsub.Message, error) {
	m := &pubsub.Message{Channel: o.Channel, Type: o.Type, Time: o.Time.UTC(), From: o.From, Tags: o.Tags}
	if o.Channel == "" || o.Type == "" {
		return nil, malformed("message", errors.New("channel or type is missing"))
	}
	var err error
	if !o.Ephemeral {
		if m.ID, err = pubsub.ParseID(o.ID); err != nil || m.ID.IsZero() {
			return nil, malformed("message", fmt.Errorf("id %q: %w", o.ID, pubsub.ErrBadID))
		}
	}
	if m.Data, err = pubsub.CompactJSON(o.Data); err != nil {
		return nil, malformed("message", err)
	}
	return m, nil
}

func (o *object) gap() (*pubsub.Gap, error) {
	from, err1 := pubsub.ParseID(o.From)
	to, err2 := pubsub.ParseID(o.To)
	if err := errors.Join(err1, err2); err != nil {
		return nil, malformed("gap", err)
	}
	return &pubsub.Gap{Channel: o.Channel, From: from, To: to, Reason: pubsub.Reason(o.Reason)}, nil
}

func malformed(what string, err error) error {
	return fmt.Errorf("%s: %w: %w", what, ErrMalformed, err)
}
