package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"comet/pubsub"
)

// sseDecoder is the lineDecoder of SSE and SSERaw, by
// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
type sseDecoder struct {
	raw   bool // SSERaw
	first bool // no line was seen yet

	event string // of the block being read
	data  []byte // of the block being read, an LF after each line

	cursor string // the last event ID, which outlives a block
	retry  time.Duration
}

func (d *sseDecoder) line(line []byte) (Event, bool, error) {
	if d.first {
		line = bytes.TrimPrefix(line, []byte("\uFEFF")) // a byte order mark
		d.first = false
	}
	if len(line) == 0 {
		return d.dispatch()
	}
	if !utf8.Valid(line) {
		line = bytes.ToValidUTF8(line, []byte("\uFFFD"))
	}
	name, value, _ := bytes.Cut(line, []byte(":")) // a comment's name is empty
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		d.event = string(value)
	case "data":
		if len(d.data)+len(value) > MaxEventBytes {
			return Event{}, false, malformed("event", fmt.Errorf("data longer than %d bytes", MaxEventBytes))
		}
		d.data = append(append(d.data, value...), '\n')
	case "id":
		if !bytes.ContainsRune(value, 0) {
			d.cursor = string(value)
		}
	case "retry":
		// ParseUint takes digits only, like the specification.
		if ms, err := strconv.ParseUint(string(value), 10, 32); err == nil {
			d.retry = time.Duration(ms) * time.Millisecond
		}
	}
	return Event{}, false, nil
}

// dispatch ends a block. One without data is no event.
func (d *sseDecoder) dispatch() (Event, bool, error) {
	name, data := d.event, d.data
	d.event, d.data = "", d.data[:0]
	if len(data) == 0 || !known(name) {
		return Event{}, false, nil
	}
	e, err := d.decode(name, data[:len(data)-1])
	e.Cursor, e.Retry = d.cursor, d.retry
	return e, err == nil, err
}

func (d *sseDecoder) decode(name string, data []byte) (Event, error) {
	control := isControl(name)
	if d.raw && !control {
		text, err := pubsub.TextData(string(data))
		m := &pubsub.Message{Type: name, Data: text}
		if name == "" {
			m.Type = pubsub.DefaultType
		}
		return Event{Kind: KindMessage, Message: m}, err
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return Event{}, malformed("event", err)
	}
	o.Event = ""
	if control {
		o.Event = name
	}
	return o.decode()
}
