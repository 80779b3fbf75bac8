package wire

import (
	"strconv"
	"time"

	"comet/pubsub"
)

// AppendMessage appends m as one event. cursor is the subscriber's after m, nil if m
// is ephemeral and does not move it. In SSE it is the id; in NDJSON the member
// "cursor", but only for a subscriber of several channels: with one channel the cursor
// is the id of the message.
//
//	SSE     id: <cursor> ␊ event: <type> ␊ data: <message> ␊ ␊   (no event line for type "message")
//	NDJSON  {<message's members>,"cursor":"…"} ␊
func (f Format) AppendMessage(b []byte, m *pubsub.Message, cursor []byte, several bool) []byte {
	if f == NDJSON {
		b = appendMessageMembers(append(b, '{'), m)
		if several && cursor != nil {
			b = appendString(append(b, `,"cursor":`...), cursor)
		}
		return append(b, "}\n"...)
	}
	if cursor != nil {
		b = appendField(b, "id: ", cursor)
	}
	if m.Type != pubsub.DefaultType {
		b = appendField(b, "event: ", m.Type)
	}
	if f == SSERaw {
		b = appendPayload(b, m.Data)
	} else {
		b = AppendMessageJSON(append(b, dataField...), m)
	}
	return append(b, "\n\n"...)
}

// AppendReady appends the control event that begins a stream: the node that serves it,
// and the cursor to resume from if nothing else comes. cursors, from AppendCursors, has
// a cursor per channel; nil: they are not sent. more says that older messages were
// requested that are too large together.
func (f Format) AppendReady(b []byte, node string, cursor, cursors []byte, more bool) []byte {
	b = f.beginControl(b, eventReady, cursor)
	b = appendString(append(b, `"node":`...), node)
	b = appendString(append(b, `,"cursor":`...), cursor)
	b = appendMore(appendCursorsMember(b, cursors), more)
	return f.endControl(b)
}

// AppendGap appends the control event that says that messages may be missing. cursor
// is the subscriber's after the event; cursors, from AppendCursors, has the one of the
// gap's channel, or is nil.
func (f Format) AppendGap(b []byte, g *pubsub.Gap, cursor, cursors []byte) []byte {
	b = f.beginControl(b, eventGap, cursor)
	b = appendGapMembers(b, g)
	if f == NDJSON {
		b = appendString(append(b, `,"cursor":`...), cursor)
	}
	b = appendCursorsMember(b, cursors)
	return f.endControl(b)
}

// AppendCursor appends the control event that only moves the cursor: messages have come
// that are not for this subscriber.
func (f Format) AppendCursor(b, cursor []byte) []byte {
	b = f.beginControl(b, eventCursor, cursor)
	b = appendString(append(b, `"cursor":`...), cursor)
	return f.endControl(b)
}

// AppendBye appends the control event before the server closes a stream. retry, to the
// millisecond, is how long the client waits before it reconnects; 0: the client decides.
func (f Format) AppendBye(b []byte, reason string, retry time.Duration) []byte {
	retryMS := retry.Milliseconds()
	if f != NDJSON && retryMS > 0 {
		b = strconv.AppendInt(append(b, "retry: "...), retryMS, 10)
		b = append(b, '\n')
	}
	b = f.beginControl(b, eventBye, nil)
	b = appendString(append(b, `"reason":`...), reason)
	if f == NDJSON && retryMS > 0 {
		b = strconv.AppendInt(append(b, `,"retry":`...), retryMS, 10)
	}
	return f.endControl(b)
}

// AppendHeartbeat appends what keeps an idle connection open and is no event: an SSE
// comment, an empty NDJSON line. No empty line follows the comment: parsers
// such as @microsoft/fetch-event-source 2.0 and r3labs/sse 2.10 report an event
// without data at each empty line.
func (f Format) AppendHeartbeat(b []byte) []byte {
	if f == NDJSON {
		return append(b, '\n')
	}
	return append(b, ":\n"...)
}

// beginControl opens the JSON object of a control event, whose members follow.
func (f Format) beginControl(b []byte, name string, cursor []byte) []byte {
	if f == NDJSON {
		b = appendString(append(b, `{"event":`...), name)
		return append(b, ',')
	}
	if cursor != nil {
		b = appendField(b, "id: ", cursor)
	}
	b = appendField(b, "event: ", name)
	return append(append(b, dataField...), '{')
}

// endControl closes the object and the event.
func (f Format) endControl(b []byte) []byte {
	if f == NDJSON {
		return append(b, "}\n"...)
	}
	return append(b, "}\n\n"...)
}

// dataField begins each line of an SSE event's data.
const dataField = "data: "

func appendField[T string | []byte](b []byte, name string, value T) []byte {
	return append(append(append(b, name...), value...), '\n')
}
