package redisbroker

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"comet/pubsub"
)

// The relay's payload is text, a line and the data:
//
//	<id> SP <prev> SP <type> LF <data>     a message, see publish.lua
//	- SP <unix ms> SP <type> LF <data>     an ephemeral message
//	! SP <id> SP <prev>                    a message too large for the relay; nodes read it
//
// A message with a trace has this prefix:
//
//	~ SP <trace> SP

// tracePrefix returns the prefix of a message with a trace, or "".
func tracePrefix(trace string) string {
	if trace == "" {
		return ""
	}
	return "~ " + trace + " "
}

func encodeEphemeral(d *pubsub.Draft) []byte {
	prefix := tracePrefix(d.Trace)
	b := make([]byte, 0, len(prefix)+18+len(d.Type)+len(d.Data))
	b = append(b, prefix...)
	b = append(b, "- "...)
	b = strconv.AppendInt(b, time.Now().UnixMilli(), 10)
	b = append(b, ' ')
	b = append(b, d.Type...)
	b = append(b, '\n')
	return append(b, d.Data...)
}

func encodeAnnounced(id pubsub.ID) []byte {
	b := append([]byte(nil), "! "...)
	b = id.Append(b)
	b = append(b, ' ')
	return id.Append(b) // its own ID as the predecessor, because nodes read it anyway
}

func decodeRelayed(channel, payload string) (m *pubsub.Message, err error) {
	var trace string
	if traced, ok := strings.CutPrefix(payload, "~ "); ok {
		trace, payload, _ = strings.Cut(traced, " ")
	}
	if ids, ok := strings.CutPrefix(payload, "! "); ok {
		id, prev, _ := strings.Cut(ids, " ")
		return newMessage(channel, id, prev, pubsub.DefaultType, "", trace)
	}
	line, data, ok1 := strings.Cut(payload, "\n")
	first, rest, ok2 := strings.Cut(line, " ")
	second, kind, ok3 := strings.Cut(rest, " ")
	if !ok1 || !ok2 || !ok3 {
		return nil, errForeign
	}
	if first == "-" {
		ms, err := strconv.ParseInt(second, 10, 64)
		m := &pubsub.Message{Channel: channel, Type: kind, Data: []byte(data), Time: time.UnixMilli(ms).UTC(), Trace: trace}
		if err != nil || ms < 0 || ms > pubsub.MaxMS || !m.IsSound() {
			return nil, errForeign
		}
		return m, nil
	}
	if data == "" {
		return nil, errForeign
	}
	return newMessage(channel, first, second, kind, data, trace)
}

// decodeEntry decodes a stream entry from read.lua:
// {id, {"prev", prev, "type", type, "data", data}}, followed by "trace" and trace if the
// message has one. For an entry that is not a message, m is unreadable and err is the
// reason. m is nil if the ID cannot be decoded either.
func decodeEntry(channel string, entry any) (m *pubsub.Message, err error) {
	pair, _ := entry.([]any)
	if len(pair) != 2 {
		return nil, errForeign
	}
	text, _ := pair[0].(string)
	id, err := parseEntryID(text)
	if err != nil {
		return nil, err
	}
	if m, err = decodeFields(channel, text, pair[1]); err != nil {
		return pubsub.NewUnreadable(channel, id), fmt.Errorf("entry %s: %w", text, err)
	}
	return m, nil
}

// decodeFields makes a message from the ID and the fields of an entry.
func decodeFields(channel, id string, list any) (*pubsub.Message, error) {
	fields, _ := list.([]any)
	var prev, kind, data, trace string
	for i := 0; i+1 < len(fields); i += 2 {
		value, _ := fields[i+1].(string)
		switch fields[i] {
		case "prev":
			prev = value
		case "type":
			kind = value
		case "data":
			data = value
		case "trace":
			trace = value
		}
	}
	if data == "" {
		return nil, errForeign
	}
	return newMessage(channel, id, prev, kind, data, trace)
}

// parseEntryID parses the ID of a stream entry. If Comet never gives such an ID (the
// sequence number is too large, or means the start of an empty log), it returns the next
// ID that it may give.
func parseEntryID(text string) (pubsub.ID, error) {
	id, err := pubsub.ParseID(text)
	if err == nil && (pubsub.Cursor{ID: id}).Last() == id {
		return id, nil
	}
	first, second, _ := strings.Cut(text, "-")
	ms, err1 := strconv.ParseUint(first, 10, 64)
	_, err2 := strconv.ParseUint(second, 10, 64)
	if err1 != nil || err2 != nil || ms >= pubsub.MaxMS {
		return id, fmt.Errorf("entry %q: %w", text, errForeign)
	}
	return pubsub.ID{MS: ms + 1}, nil
}

// newMessage makes a message. One without data is only announced.
func newMessage(channel, id, prev, kind, data, trace string) (*pubsub.Message, error) {
	m := &pubsub.Message{Channel: channel, Type: kind, Trace: trace}
	if data != "" {
		m.Data = []byte(data)
	}
	var err1, err2 error
	m.ID, err1 = pubsub.ParseID(id)
	m.Prev, err2 = parseEntryID(prev)
	if err1 != nil || err2 != nil || m.ID.IsZero() || !m.IsSound() {
		return nil, errForeign
	}
	m.Time = m.ID.Time()
	return m, nil
}
