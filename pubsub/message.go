package pubsub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// DefaultType is the type of a message that names none.
const DefaultType = "message"

// ControlPrefix begins the names of Comet's own events, which no message's type
// may, and those of the nodes' own channels.
const ControlPrefix = "comet."

// Message is one entry of a channel's log, or an ephemeral message. Messages
// are shared between subscribers and never change.
type Message struct {
	Channel string
	Type    string // event name; never empty
	Data    []byte // one JSON value in compact form, so without line breaks

	// ID is the zero ID in an ephemeral message, which has no place in the log.
	ID ID
	// Prev is the ID of the message before it in the log; zero if it is the first.
	Prev ID
	// Time is when the primary took the message; for an ephemeral message,
	// when its node did.
	Time time.Time
	// From is the verified sender, see Draft; empty: none.
	From string
	Tags Tags
	// Trace is the Draft's.
	Trace string

	began *time.Time // see PublishStart
}

// Ephemeral reports whether the message was only relayed and never kept.
func (m *Message) Ephemeral() bool { return m.ID.IsZero() }

// PublishStart is when this node began to publish the message, by its own clock; nil
// for all but a sample of those that it published itself, whose time is taken.
func (m *Message) PublishStart() *time.Time { return m.began }

// announced reports whether the message is only in the log: see Sink.Received.
func (m *Message) announced() bool { return !m.Ephemeral() && len(m.Data) == 0 }

// Reason says why messages may be missing.
type Reason string

// The reasons of a gap.
const (
	// Trimmed: the log no longer reaches back to where the subscriber is.
	Trimmed Reason = "trimmed"
	// Restarted: the log is gone, expired or wiped, and begins again.
	Restarted Reason = "restarted"
	// Rewound: the log now ends, or goes on, before where the subscriber is:
	// a new primary did not have the newest messages.
	Rewound Reason = "rewound"
	// Failover: another primary has taken over; messages that the old one
	// acknowledged last may be missing.
	Failover Reason = "failover"
	// Unreadable: To is an entry of the log that is no message. Another
	// program wrote it, or a later version. Where To is From, the log itself cannot
	// be read: something else is in its place.
	Unreadable Reason = "unreadable"
)

// Reasons are all there are.
var Reasons = []Reason{Trimmed, Restarted, Rewound, Failover, Unreadable}

// Gap tells a subscriber that messages may be missing. It had everything up to
// From; delivery goes on after To. A message up to To that it lacks will not come.
// After Trimmed, Restarted and Unreadable that lies between From and To, after Failover
// (To equals From) and Rewound (To is usually older) it is whatever the old
// primary took last. After Failover To is newer than From where a log is back that
// had gone back before: what lies between came before, or will not come.
type Gap struct {
	Channel  string
	From, To ID
	Reason   Reason
}

// Draft is a message to publish.
type Draft struct {
	Channel   string
	Type      string // empty: DefaultType
	Data      []byte // one JSON value; CompactJSON or TextData makes it
	Key       string // idempotency key, 0 to 128 printable ASCII characters
	Owner     string // whose Key it is: the same Key of another owner is another one; not validated
	Ephemeral bool   // relay to the current subscribers only; not with a Key
	// From is who publishes, as verified by the caller: 0 to MaxFromBytes bytes of UTF-8
	// without control characters. An empty one costs nothing, nor do no Tags.
	From string
	Tags Tags
	// Trace goes with the message to every node, so that its delivery can be traced:
	// 0 to MaxTraceBytes letters, digits, or any of . _ -. An empty one costs nothing.
	Trace string
}

// Limits of names, in bytes.
const (
	MaxChannelBytes = 255
	MaxTypeBytes    = 64
	MaxKeyBytes     = 128
	MaxFromBytes    = 255
	MaxTraceBytes   = 64
)

// InvalidError says which part of a request is wrong and how to fix it.
type InvalidError struct {
	Field   string // as the interface calls it: channel, type, data, key, from, tags, trace
	Message string // a sentence without the field's name
}

func (e *InvalidError) Error() string { return e.Field + " " + e.Message }

// Validate returns an *InvalidError for the first thing wrong with d.
func (d *Draft) Validate() error {
	if err := ValidateChannel(d.Channel); err != nil {
		return err
	}
	if err := validateType(d.Type); err != nil {
		return err
	}
	if len(d.Key) > MaxKeyBytes || strings.ContainsFunc(d.Key, notPlain) {
		return &InvalidError{"key", fmt.Sprintf("must be at most %d printable ASCII characters without spaces", MaxKeyBytes)}
	}
	if d.Ephemeral && d.Key != "" {
		return &InvalidError{"key", "cannot go with ephemeral: an ephemeral message is not kept, so a repeat cannot be recognised"}
	}
	if len(d.Data) == 0 {
		return &InvalidError{"data", "is missing: give a JSON value"}
	}
	if err := validateFrom(d.From); err != nil {
		return err
	}
	return validateTrace(d.Trace)
}

func validateFrom(from string) error {
	if len(from) > MaxFromBytes || !utf8.ValidString(from) || strings.ContainsFunc(from, unicode.IsControl) {
		return &InvalidError{"from", fmt.Sprintf("must be at most %d bytes of UTF-8 without control characters", MaxFromBytes)}
	}
	return nil
}

func validateTrace(trace string) error {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
	}
	if len(trace) > MaxTraceBytes || strings.ContainsFunc(trace, func(r rune) bool { return !ok(r) }) {
		return &InvalidError{"trace", fmt.Sprintf("must be at most %d letters, digits, or any of . _ -", MaxTraceBytes)}
	}
	return nil
}

func notPlain(r rune) bool { return r <= ' ' || r > '~' }

// ValidateChannel returns an *InvalidError unless name is 1 to 255 bytes of
// UTF-8 without control characters, `{` and `}` (which Redis Cluster reads as
// a hash tag, https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags),
// and `*`, which makes a pattern of it.
func ValidateChannel(name string) error {
	switch {
	case name == "":
		return &InvalidError{"channel", "is missing: give a name of 1 to 255 bytes"}
	case len(name) > MaxChannelBytes:
		return &InvalidError{"channel", fmt.Sprintf("is %d bytes long: at most %d are allowed", len(name), MaxChannelBytes)}
	case !utf8.ValidString(name):
		return &InvalidError{"channel", "is not UTF-8"}
	case strings.ContainsAny(name, "{}"):
		return &InvalidError{"channel", "must not contain { or }"}
	case IsPattern(name):
		return &InvalidError{"channel", "must not contain *: with it the name is a pattern, which works in subscriptions and history, permissions and rules, and nowhere else"}
	case strings.ContainsFunc(name, unicode.IsControl):
		return &InvalidError{"channel", "must not contain control characters"}
	}
	return nil
}

// validateLog is ValidateChannel for the name of a log, which may be an index log.
func validateLog(name string) error {
	if IsIndexLog(name) {
		return nil
	}
	return ValidateChannel(name)
}

func validateType(t string) error {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-:/", r)
	}
	switch {
	case len(t) > MaxTypeBytes || strings.ContainsFunc(t, func(r rune) bool { return !ok(r) }):
		return &InvalidError{"type", fmt.Sprintf("must be at most %d letters, digits, or any of . _ - : /", MaxTypeBytes)}
	case strings.HasPrefix(t, ControlPrefix):
		return &InvalidError{"type", "must not begin with " + ControlPrefix + ", which is kept for Comet's own events"}
	case t == "error" || t == "open":
		return &InvalidError{"type", "must not be error or open, which an EventSource takes for its own state: choose another name, as in app-error"}
	}
	return nil
}

// ErrNotJSON, ErrTooDeep and ErrNotText are what CompactJSON and TextData return.
var (
	ErrNotJSON = errors.New("data is not one valid JSON value")
	ErrTooDeep = fmt.Errorf("data is nested more than %d deep", MaxDepth)
	ErrNotText = errors.New("data is not UTF-8 text")
)

// MaxDepth is how deep a message's Data may be nested. Decoders have limits
// (Go's is 10,000), and a message that subscribers cannot decode ends their
// streams.
const MaxDepth = 512

// CompactJSON is a JSON text (RFC 8259) as a message's Data: checked, and
// without insignificant white space.
func CompactJSON(text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, ErrNotText
	}
	var b bytes.Buffer
	b.Grow(len(text))
	if err := json.Compact(&b, text); err != nil {
		return nil, ErrNotJSON
	}
	if depth(b.Bytes()) > MaxDepth {
		return nil, ErrTooDeep
	}
	return b.Bytes(), nil
}

// depth is how deep the arrays and objects of a valid JSON text nest.
func depth(text []byte) (deepest int) {
	now, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++ // whatever it escapes, a quote too
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			now++
			deepest = max(deepest, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return deepest
}

// TextData is text as a message's Data, a JSON string.
func TextData(text string) ([]byte, error) {
	if !utf8.ValidString(text) {
		return nil, ErrNotText
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // the page decides how to show it; escaping here would only cost bytes
	if err := e.Encode(text); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}
