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
//
// A message of version 2 has a meta, see there. n is its length in bytes:
//
//	~ SP v2:<n> SP <id> SP <id-1> SP <type> LF ["<prev>","<trace>",<meta>,<data>]
//	~ SP v2:<n> SP + SP <unix ms> SP <type> LF ["","<trace>",<meta>,<data>]
//	~ SP v1: SP - SP <unix ms> SP <type> LF <data>    the second one for nodes of version 1
//
// The payload of an index log begins with the name of the message's channel and LF.

// tracePrefix returns the prefix of a message with a trace, or "".
func tracePrefix(trace string) string {
	if trace == "" {
		return ""
	}
	return "~ " + trace + " "
}

func encodeAnnounced(id pubsub.ID) []byte {
	b := append([]byte(nil), "! "...)
	b = id.Append(b)
	b = append(b, ' ')
	return id.Append(b) // its own ID as the predecessor, because nodes read it anyway
}

// decodeRelay decodes a payload of a channel or index log, see decodeRelayed.
func decodeRelay(log, payload string) (m *pubsub.Message, err error) {
	if !pubsub.IsIndexLog(log) {
		return decodeRelayed(log, payload)
	}
	channel, payload, ok := strings.Cut(payload, "\n")
	if !ok || pubsub.ValidateChannel(channel) != nil {
		return nil, errForeign
	}
	return decodeRelayed(channel, payload)
}

// indexPayload makes the payload of a channel that of its index log.
func indexPayload(channel string, payload []byte) []byte {
	return append([]byte(channel+"\n"), payload...)
}

// decodeRelayed decodes a payload of a channel. m is nil without an error for one that is only for
// nodes of version 1.
func decodeRelayed(channel, payload string) (m *pubsub.Message, err error) {
	var trace string
	if marked, ok := strings.CutPrefix(payload, "~ "); ok {
		trace, payload, _ = strings.Cut(marked, " ")
	}
	if size, ok := strings.CutPrefix(trace, mark2); ok {
		return decodeVersion2(channel, size, payload)
	}
	if trace == markOld {
		return nil, nil
	}
	if ids, ok := strings.CutPrefix(payload, "! "); ok {
		id, prev, _ := strings.Cut(ids, " ")
		return newMessage(channel, id, prev, pubsub.DefaultType, "", trace, meta{})
	}
	line, data, ok := strings.Cut(payload, "\n")
	first, second, kind, ok1 := cutLine(line)
	switch {
	case !ok || !ok1 || data == "":
		return nil, errForeign
	case first == "-":
		return newEphemeral(channel, second, kind, data, trace, meta{})
	}
	return newMessage(channel, first, second, kind, data, trace, meta{})
}

// cutLine returns the three words of a payload's line.
func cutLine(line string) (first, second, kind string, ok bool) {
	first, rest, ok1 := strings.Cut(line, " ")
	second, kind, ok2 := strings.Cut(rest, " ")
	return first, second, kind, ok1 && ok2
}

// decodeEntry decodes a stream entry from read.lua:
// {id, {"prev", prev, "type", type, "data", data}}, followed by "trace" and trace, and by
// "meta" and meta, if the message has them; in an index log, {id, {"relay", payload}}.
// Other fields are ignored. For an entry that is
// not a message, m is unreadable and err is the reason. m is nil if the ID cannot be
// decoded either.
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
	var prev, kind, data, trace, text, payload string
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
		case "meta":
			text = value
		case "relay":
			payload = value
		}
	}
	if pubsub.IsIndexLog(channel) {
		m, err := decodeRelay(channel, payload)
		if err == nil && (m == nil || len(m.Data) == 0 || m.ID.String() != id) {
			err = errForeign
		}
		return m, err
	}
	x, later, err := decodeMeta(text)
	switch {
	case later:
		return nil, errLater
	case err != nil:
		return nil, err
	case data == "":
		return nil, errForeign
	}
	return newMessage(channel, id, prev, kind, data, trace, x)
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

// newMessage makes a message of a log. One without data is only announced.
func newMessage(channel, id, prev, kind, data, trace string, x meta) (*pubsub.Message, error) {
	m := &pubsub.Message{Channel: channel, Type: kind, Trace: trace, From: x.From, Tags: x.Tags}
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

// newEphemeral makes an ephemeral message.
func newEphemeral(channel, text, kind, data, trace string, x meta) (*pubsub.Message, error) {
	ms, err := strconv.ParseInt(text, 10, 64)
	m := &pubsub.Message{Channel: channel, Type: kind, Data: []byte(data), Time: time.UnixMilli(ms).UTC(), Trace: trace, From: x.From, Tags: x.Tags}
	if err != nil || ms < 0 || ms > pubsub.MaxMS || !m.IsSound() {
		return nil, errForeign
	}
	return m, nil
}
