package bench

import (
	"bytes"
	"testing"
	"time"
)

var events = []struct {
	name, bytes string
	want        event
	rest        string // after the event
}{
	{"message", "id: 1-0\ndata: x\n\n", event{id: []byte("1-0"), hasID: true}, ""},
	{"CRLF", "id: 1-0\r\ndata: x\r\n\r\nid", event{id: []byte("1-0"), hasID: true}, "id"},
	{"no space", "id:1-0\n\n", event{id: []byte("1-0"), hasID: true}, ""},
	{"an empty id ends the cursor", "id\ndata: x\n\n", event{hasID: true}, ""},
	{"named", "event: comet.bye\nretry: 1500\ndata: x\n\n", event{name: []byte("comet.bye"), retry: 1500 * time.Millisecond}, ""},
	{"comment", ": hi\n\n", event{}, "\n"},
	{"heartbeats", ":\n:\nid: 1-0\n", event{}, ":\nid: 1-0\n"},
	{"comment in an event", "id: 1-0\n:\ndata: x\n\n", event{id: []byte("1-0"), hasID: true}, ""},
	{"other fields", "identity: a\nevents: b\nretries: 5\nretry: soon\n\n", event{}, ""},
	{"two", "data: a\n\ndata: b\n\n", event{}, "data: b\n\n"},
	{"nothing but an end", "\ndata: b\n\n", event{}, "data: b\n\n"},
	{"not complete", "id: 1-0\ndata: x\n", event{}, "id: 1-0\ndata: x\n"},
}

func TestNextEvent(t *testing.T) {
	for _, test := range events {
		e, n := nextEvent([]byte(test.bytes))
		if rest := test.bytes[n:]; rest != test.rest {
			t.Errorf("%s: the rest is %q, want %q", test.name, rest, test.rest)
		}
		if !bytes.Equal(e.id, test.want.id) || e.hasID != test.want.hasID || !bytes.Equal(e.name, test.want.name) || e.retry != test.want.retry {
			t.Errorf("%s: %+v, want %+v", test.name, e, test.want)
		}
	}
}

// The length of an event does not depend on the bytes after it.
func FuzzNextEvent(f *testing.F) {
	for _, test := range events {
		f.Add([]byte(test.bytes), []byte("x"))
	}
	f.Fuzz(func(t *testing.T, b, more []byte) {
		e, n := nextEvent(b)
		if n == 0 {
			return
		}
		if b[n-1] != '\n' || len(e.text) >= n {
			t.Errorf("an event of %d bytes with %d of text in %q", n, len(e.text), b)
		}
		if again, m := nextEvent(append(bytes.Clone(b), more...)); m != n || !bytes.Equal(again.id, e.id) || again.hasID != e.hasID {
			t.Errorf("%q: %d bytes, with %q after it %d", b, n, more, m)
		}
	})
}
