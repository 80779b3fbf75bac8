package redisbroker

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"comet/pubsub"
)

// What the relay carries is text: a line and the data,
//
//	<id> SP <prev> SP <type> LF <data>     a message, as publish.lua writes it
//	- SP <unix ms> SP <type> LF <data>     an ephemeral message
//	! SP <id> SP <prev>                    a message that is to be read, as too large to be relayed
//
// Before any of them may stand, if the message has one,
//
//	~ SP <trace> SP

// tracePrefix is what stands before a message with a trace; empty without one.
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
	return id.Append(b) // as its own predecessor: it has to be read anyway
}

var errForeign = errors.New("not written by Comet")

func decodeRelayed(channel, payload string) (m *pubsub.Message, err error) {
	traced, isTraced := strings.CutPrefix(payload, "~ ")
	if !isTraced {
		return decodeUntraced(channel, payload)
	}
	trace, payload, _ := strings.Cut(traced, " ")
	if m, err = decodeUntraced(channel, payload); err == nil {
		m.Trace = trace
	}
	return m, err
}

func decodeUntraced(channel, payload string) (*pubsub.Message, error) {
	if ids, ok := strings.CutPrefix(payload, "! "); ok {
		id, prev, _ := strings.Cut(ids, " ")
		return newMessage(channel, id, prev, pubsub.DefaultType, "")
	}
	line, data, ok1 := strings.Cut(payload, "\n")
	first, rest, ok2 := strings.Cut(line, " ")
	second, kind, ok3 := strings.Cut(rest, " ")
	if !ok1 || !ok2 || !ok3 {
		return nil, errForeign
	}
	if first == "-" {
		ms, err := strconv.ParseInt(second, 10, 64)
		if err != nil {
			return nil, errForeign
		}
		return &pubsub.Message{Channel: channel, Type: kind, Data: []byte(data), Time: time.UnixMilli(ms).UTC()}, nil
	}
	if data == "" {
		return nil, errForeign
	}
	return newMessage(channel, first, second, kind, data)
}

// decodeEntry reads a stream entry as read.lua returns it:
// {id, {"prev", prev, "type", type, "data", data}}, with "trace", trace behind
// if there is one.
func decodeEntry(channel string, entry any) (*pubsub.Message, error) {
	pair, _ := entry.([]any)
	if len(pair) != 2 {
		return nil, errForeign
	}
	id, _ := pair[0].(string)
	fields, _ := pair[1].([]any)
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
	m, err := newMessage(channel, id, prev, kind, data)
	if err == nil {
		m.Trace = trace
	}
	return m, err
}

// newMessage makes a message; one without data is only announced.
func newMessage(channel, id, prev, kind, data string) (*pubsub.Message, error) {
	m := &pubsub.Message{Channel: channel, Type: kind}
	if data != "" {
		m.Data = []byte(data)
	}
	var err1, err2 error
	m.ID, err1 = pubsub.ParseID(id)
	m.Prev, err2 = pubsub.ParseID(prev)
	if err1 != nil || err2 != nil || m.ID.Gen == 0 || kind == "" {
		return nil, errForeign
	}
	m.Time = m.ID.Time()
	return m, nil
}
