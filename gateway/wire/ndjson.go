package wire

import (
	"bytes"
	"encoding/json"
	"time"
)

// ndjsonDecoder is the lineDecoder of NDJSON: every line that is not empty is
// an event.
type ndjsonDecoder struct {
	cursor string
	retry  time.Duration
}

func (d *ndjsonDecoder) line(line []byte) (Event, bool, error) {
	if len(bytes.TrimSpace(line)) == 0 {
		return Event{}, false, nil
	}
	var o object
	if err := json.Unmarshal(line, &o); err != nil {
		return Event{}, false, malformed("line", err)
	}
	if o.RetryMS > 0 {
		d.retry = time.Duration(o.RetryMS) * time.Millisecond
	}
	if o.Cursor != "" {
		d.cursor = o.Cursor
	}
	if !known(o.Event) {
		return Event{}, false, nil
	}
	e, err := o.decode()
	if err != nil {
		return Event{}, false, err
	}
	if e.Kind == KindMessage && !e.Message.Ephemeral() && o.Cursor == "" {
		d.cursor = o.ID // a stream of one channel
	}
	e.Cursor, e.Retry = d.cursor, d.retry
	return e, true, nil
}
