package pubsub

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Epoch names a period in which one primary took messages: 20 bits, never 0.
// A new one begins when Redis starts, restarts or is promoted (it comes from the
// master_replid, https://redis.io/docs/latest/commands/info/). 0 means that no
// epoch is known. Epochs have no order.
type Epoch uint32

// Sizes of the fields in an ID's sequence part. They make an ID fit 9 bytes,
// so 12 characters of a several-channel cursor.
const (
	epochBits   = 20
	counterBits = 10
	msBits      = 42 // to the year 2109

	// MaxEpoch is the largest Epoch.
	MaxEpoch Epoch = 1<<epochBits - 1
	// MaxCounter is the largest Counter: 1024 messages per channel and
	// millisecond; the next one takes the following millisecond.
	MaxCounter = 1<<counterBits - 1
	// MaxMS is the largest MS.
	MaxMS = 1<<msBits - 1
)

// ParseEpoch reads what String writes.
func ParseEpoch(s string) (Epoch, error) {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || len(s) != 5 || s != strings.ToLower(s) {
		return 0, fmt.Errorf("epoch %q is not five lower-case hexadecimal digits", s)
	}
	return Epoch(n), nil
}

// String is five lower-case hexadecimal digits.
func (g Epoch) String() string { return fmt.Sprintf("%05x", uint32(g)) }

// ID names a message and orders it within its channel. It is a Redis stream ID
// `<ms>-<seq>`: MS is the primary's clock in Unix milliseconds, and seq is
// Counter<<20 | Epoch. So two primaries never give the same ID to two messages,
// even if the second one's clock is behind, and every ID says in which
// epoch the message was taken.
type ID struct {
	MS      uint64 // 0 to MaxMS
	Counter uint16 // 0 to MaxCounter
	Epoch   Epoch  // of the primary that took it; 0 only in the zero ID and in foreign ones
}

// ErrBadID is what ParseID wraps.
var ErrBadID = errors.New("not a message ID: want <ms>-<seq>, as in a message's id")

// ParseID reads `<ms>-<seq>` in decimal, without leading zeros.
func ParseID(s string) (ID, error) {
	ms, seq, ok := strings.Cut(s, "-")
	if !ok {
		return ID{}, ErrBadID
	}
	m, err1 := parseCanonical(ms)
	q, err2 := parseCanonical(seq)
	if err1 != nil || err2 != nil || m > MaxMS || q >= 1<<(epochBits+counterBits) {
		return ID{}, ErrBadID
	}
	return ID{
		MS:      m,
		Counter: uint16(q >> epochBits),
		Epoch:   Epoch(q) & MaxEpoch,
	}, nil
}

// parseCanonical takes only the form that String writes, so that one ID has
// one spelling.
func parseCanonical(s string) (uint64, error) {
	if len(s) > 1 && s[0] == '0' || s == "" || s[0] == '+' {
		return 0, ErrBadID
	}
	return strconv.ParseUint(s, 10, 63)
}

// String is `<ms>-<seq>`; the zero ID, which stands before every message, is
// `0-0`.
func (id ID) String() string { return string(id.Append(nil)) }

// Append adds String to b.
func (id ID) Append(b []byte) []byte {
	b = strconv.AppendUint(b, id.MS, 10)
	b = append(b, '-')
	return strconv.AppendUint(b, id.seq(), 10)
}

func (id ID) seq() uint64 { return uint64(id.Counter)<<epochBits | uint64(id.Epoch) }

// Compare orders IDs as Redis does: by MS, then by seq.
func (id ID) Compare(other ID) int {
	if c := cmp.Compare(id.MS, other.MS); c != 0 {
		return c
	}
	return cmp.Compare(id.seq(), other.seq())
}

// IsZero reports whether id is `0-0`.
func (id ID) IsZero() bool { return id == ID{} }

// startAt is the start of a log that was empty at nowMS. It orders before every
// message taken at nowMS or later, and is never a message's: those have an Epoch.
func startAt(nowMS uint64) ID {
	if nowMS == 0 {
		return ID{}
	}
	return ID{MS: nowMS - 1, Counter: MaxCounter}
}

// isStart reports whether id is the start of an empty log: of startAt, or the
// zero ID, which does not say when.
func (id ID) isStart() bool { return id.Epoch == 0 && (id.Counter == MaxCounter || id.IsZero()) }

// emptyAt is the time that startAt was given; 0: not known.
func (id ID) emptyAt() uint64 {
	if id.IsZero() {
		return 0
	}
	return id.MS + 1
}

// Time is when the primary took the message, to the millisecond, in UTC.
func (id ID) Time() time.Time { return time.UnixMilli(int64(id.MS)).UTC() }

// NextID is the ID that a primary of epoch epoch gives to the message after
// last when its clock says nowMS: later than last even if the clock is not.
// publish.lua in redisbroker is the same rule in Lua.
func NextID(last ID, nowMS uint64, epoch Epoch) ID {
	if nowMS > last.MS {
		return ID{MS: nowMS, Epoch: epoch}
	}
	if last.Counter == MaxCounter {
		return ID{MS: last.MS + 1, Epoch: epoch}
	}
	return ID{MS: last.MS, Counter: last.Counter + 1, Epoch: epoch}
}
