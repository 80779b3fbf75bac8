// Package wire has the encodings of Comet's HTTP interface, both ways: event
// streams as Server-Sent Events and as NDJSON, and the JSON objects of
// messages, gaps, polls and history. docs/protocol.md shows them in use.
//
// Appenders add to a buffer and allocate nothing but its growth. They trust
// what pubsub validated: types and cursors without line breaks, Data that is
// one compact JSON value. Decoders validate everything.
package wire

// Format is an encoding of an event stream.
type Format uint8

const (
	// SSE is https://html.spec.whatwg.org/multipage/server-sent-events.html,
	// each data the JSON object of a message or a control event.
	SSE Format = iota
	// SSERaw is SSE whose messages carry just their payload, for htmx and
	// curl: the text of a JSON string, any other value as JSON.
	SSERaw
	// NDJSON is one JSON object per line, ended by LF. Empty lines are heartbeats.
	NDJSON
	// Formats is the number of formats.
	Formats = iota
)

// ContentType is the media type of a stream in this format.
func (f Format) ContentType() string {
	if f == NDJSON {
		return "application/x-ndjson"
	}
	return "text/event-stream"
}

// The names of the control events. A message cannot have them as its type.
const (
	eventReady  = "comet.ready"
	eventGap    = "comet.gap"
	eventCursor = "comet.cursor"
	eventBye    = "comet.bye"
)
