package pubsub

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"iter"
	"slices"
	"strings"
)

// Cursor is where a subscriber is in one channel's log: it has everything up
// to and including ID, as the primary of Epoch had it. Nearly always
// Epoch is the ID's own epoch. It is a later one after a gap Failover, until the
// next message.
//
// A zero Epoch says that no epoch is known: then a failover is not noticed.
//
// On an empty log ID is no message's: it says when the log was seen empty, see
// Last. A zero ID with an Epoch is such a cursor of an earlier version, which did
// not say when. The zero Cursor stands before whatever the log begins with.
type Cursor struct {
	ID    ID
	Epoch Epoch
}

// ErrBadCursor is what every cursor that is malformed, or made for other
// channels, comes down to.
var ErrBadCursor = errors.New("not a cursor of these channels: use one that Comet gave out for exactly this set of channels, or `earliest`")

// CursorAfter is the cursor right after the message id.
func CursorAfter(id ID) Cursor { return Cursor{ID: id, Epoch: id.Epoch} }

// Last is the newest message that the subscriber has; zero on an empty log.
func (c Cursor) Last() ID {
	if c.ID.isStart() {
		return ID{}
	}
	return c.ID
}

// before is the cursor in front of m.
func before(m *Message) Cursor {
	if m.Prev.IsZero() {
		return Cursor{ID: startAt(m.ID.MS), Epoch: m.ID.Epoch}
	}
	return Cursor{ID: m.Prev, Epoch: m.ID.Epoch}
}

// ParseCursor reads what String writes.
func ParseCursor(s string) (Cursor, error) {
	text, epochText, marked := strings.Cut(s, "~")
	id, err := ParseID(text)
	if err != nil {
		return Cursor{}, ErrBadCursor
	}
	if !marked {
		return CursorAfter(id), nil
	}
	epoch, err := ParseEpoch(epochText)
	if err != nil || epoch == 0 || epoch == id.Epoch {
		return Cursor{}, ErrBadCursor
	}
	return Cursor{ID: id, Epoch: epoch}, nil
}

// String is the ID, followed by `~<epoch>` where that is not the ID's own.
func (c Cursor) String() string { return string(c.Append(nil)) }

// Append adds String to b.
func (c Cursor) Append(b []byte) []byte {
	b = c.ID.Append(b)
	if c.Epoch != c.ID.Epoch {
		b = append(b, '~')
		b = append(b, c.Epoch.String()...)
	}
	return b
}

// CursorSet is where a subscriber of one or several channels is. It belongs to
// one subscriber and is not for concurrent use.
type CursorSet struct {
	channels []string // sorted, distinct; a pattern has all its index logs in its place
	at       []Cursor // one per channel
	names    []string // what the subscriber calls each of channels; nil: the same
	// PerChannel says that the client came with a cursor for each channel, and so
	// gets a cursor per channel too. With one channel there is no difference.
	PerChannel bool
}

// NewCursorSet is the set for channels, which must be sorted and distinct; at
// has a cursor for each.
func NewCursorSet(channels []string, at []Cursor) *CursorSet {
	return &CursorSet{channels: channels, at: slices.Clone(at)}
}

// NewCursorSetOf is the set for starts, with a cursor for each.
func NewCursorSetOf(starts []Start, at []Cursor) *CursorSet {
	s := &CursorSet{channels: make([]string, len(starts)), at: slices.Clone(at)}
	for i, start := range starts {
		s.channels[i] = start.Channel
		if start.Filter != nil && s.names == nil {
			s.names = make([]string, len(starts))
		}
	}
	if f := OnePattern(starts); f != nil {
		s.channels = f.Pattern.Logs // which all subscribers of the pattern share
	}
	for i := range s.names {
		if s.names[i] = starts[i].Channel; starts[i].Filter != nil {
			s.names[i] = starts[i].Filter.Pattern.String()
		}
	}
	return s
}

// OnePattern returns the filter of starts if they are those of one pattern and nothing
// else, else nil.
func OnePattern(starts []Start) *Filter {
	if len(starts) == 0 {
		return nil
	}
	f := starts[0].Filter
	if f == nil || slices.ContainsFunc(starts, func(s Start) bool { return s.Filter != f }) {
		return nil
	}
	return f
}

// Set moves the cursor of the i-th channel.
func (s *CursorSet) Set(i int, c Cursor) { s.at[i] = c }

// Cursor is where the i-th channel is.
func (s *CursorSet) Cursor(i int) Cursor { return s.at[i] }

// Part is the channel or pattern that has the i-th cursor, and its own cursor.
func (s *CursorSet) Part(i int) (name string, part *CursorSet) {
	if s.names == nil {
		return s.channels[i], &CursorSet{channels: s.channels[i : i+1], at: s.at[i : i+1]}
	}
	first, end := i, i+1
	for first > 0 && s.names[first-1] == s.names[i] {
		first--
	}
	for end < len(s.names) && s.names[end] == s.names[i] {
		end++
	}
	return s.names[i], &CursorSet{channels: s.channels[first:end], at: s.at[first:end]}
}

// All are the channels and patterns with their cursors.
func (s *CursorSet) All() iter.Seq2[string, *CursorSet] {
	return func(yield func(string, *CursorSet) bool) {
		for i := 0; i < len(s.at); {
			name, part := s.Part(i)
			if !yield(name, part) {
				return
			}
			i += len(part.at)
		}
	}
}

// String is what a client sends back to resume: for one channel Cursor.String,
// for several base64url (RFC 4648 section 5, unpadded) of
//
//	3 bytes   fingerprint of the channels
//	9 bytes   per channel, in sorted order: MS 42 bits, Counter 10, ID.Epoch 20
//	4 bytes   per channel whose Epoch is not its ID's: index 1 byte, Epoch 3 bytes
//
// all big-endian.
func (s *CursorSet) String() string { return string(s.Append(nil)) }

// Append adds String to b.
func (s *CursorSet) Append(b []byte) []byte {
	if len(s.channels) == 1 {
		return s.at[0].Append(b)
	}
	var few [fingerprintLen + packedLen*16]byte // enough for most, without an allocation
	raw := appendUint24(few[:0], fingerprint(s.channels))
	for _, c := range s.at {
		raw = append(raw, byte(c.ID.MS>>34))
		raw = binary.BigEndian.AppendUint64(raw, c.ID.MS<<(epochBits+counterBits)|c.ID.seq())
	}
	for i, c := range s.at {
		if c.Epoch != c.ID.Epoch {
			raw = append(raw, byte(i))
			raw = appendUint24(raw, uint32(c.Epoch))
		}
	}
	return base64.RawURLEncoding.AppendEncode(b, raw)
}

const (
	fingerprintLen = 3
	packedLen      = 9
	markLen        = 4
	// MaxCursorChannels is how many channels one cursor can hold.
	MaxCursorChannels = 256
)

// ParseCursorSet reads the cursors of channels (sorted, distinct) from what
// String wrote. Anything else is ErrBadCursor, never a guess.
func ParseCursorSet(channels []string, s string) ([]Cursor, error) {
	if len(channels) == 1 {
		c, err := ParseCursor(s)
		return []Cursor{c}, err
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) < fingerprintLen+packedLen*len(channels) || uint24(raw) != fingerprint(channels) {
		return nil, ErrBadCursor
	}
	if len(s) != base64.RawURLEncoding.EncodedLen(len(raw)) {
		return nil, ErrBadCursor // the decoder skips line breaks
	}
	raw = raw[fingerprintLen:]
	at := make([]Cursor, len(channels))
	for i := range at {
		low := binary.BigEndian.Uint64(raw[1:])
		at[i] = CursorAfter(ID{
			MS:      uint64(raw[0])<<34 | low>>(epochBits+counterBits),
			Counter: uint16(low>>epochBits) & MaxCounter,
			Epoch:   Epoch(low) & MaxEpoch,
		})
		raw = raw[packedLen:]
	}
	if len(raw)%markLen != 0 {
		return nil, ErrBadCursor
	}
	for previous := -1; len(raw) > 0; raw = raw[markLen:] {
		i, epoch := int(raw[0]), Epoch(uint24(raw[1:]))
		if i <= previous || i >= len(at) || epoch == 0 || epoch > MaxEpoch || epoch == at[i].Epoch {
			return nil, ErrBadCursor
		}
		at[i].Epoch, previous = epoch, i
	}
	return at, nil
}

// IsCursor reports whether s is a cursor of any channels, of one or of several.
func IsCursor(s string) bool {
	if _, err := ParseCursor(s); err == nil {
		return true
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) >= fingerprintLen+2*packedLen
}

// LostCursor is the cursor of a subscriber whose place in a log is not known any more: it
// gets a gap, and then all that the log has.
func LostCursor() Cursor { return Cursor{ID: ID{MS: 1}} }

// fingerprint tells sets of channels apart, 24 bits of FNV-1a.
func fingerprint(channels []string) uint32 {
	h := fnv.New32a()
	for _, c := range channels {
		h.Write([]byte(c))
		h.Write([]byte{0})
	}
	sum := h.Sum32()
	return (sum ^ sum>>24) & 0xffffff
}

func appendUint24(b []byte, n uint32) []byte { return append(b, byte(n>>16), byte(n>>8), byte(n)) }

func uint24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }
