package wire

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"comet/pubsub"
)

// readAll returns the events before the error that ended the stream.
func readAll(r io.Reader, f Format) ([]Event, error) {
	reader := NewReader(r, f)
	var events []Event
	for {
		e, err := reader.Next()
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
}

func text(s, messageType string) *pubsub.Message {
	data, _ := pubsub.TextData(s)
	return &pubsub.Message{Type: messageType, Data: data}
}

// sseTests are the rules of
// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation,
// seen through the format in which any text is a message.
var sseTests = []struct {
	name, stream string
	want         []Event
}{
	{"line ends", "data: a\r\rdata: b\n\ndata: c\r\n\r\ndata: d\r\n\ndata: e\n\r", []Event{
		{Message: text("a", "message")}, {Message: text("b", "message")}, {Message: text("c", "message")},
		{Message: text("d", "message")}, {Message: text("e", "message")}}},
	{"byte order mark once", "\uFEFFdata: a\n\n\uFEFFdata: b\n\n", []Event{{Message: text("a", "message")}}},
	{"byte order mark before a comment", "\uFEFF:\n\ndata: a\n\n", []Event{{Message: text("a", "message")}}},
	{"one space", "data:a\ndata: b\ndata:  c\n\n", []Event{{Message: text("a\nb\n c", "message")}}},
	{"field without colon", "data\n\ndata\ndata\n\n", []Event{{Message: text("", "message")}, {Message: text("\n", "message")}}},
	{"comments", ": a\n:\n\n:b\ndata: c\n: d\n\n", []Event{{Message: text("c", "message")}}},
	{"unknown and misspelt fields", "Data: a\n data: b\nevents: c\ndata : d\ndata: e\n\n", []Event{{Message: text("e", "message")}}},
	{"type of one block", "event: x\ndata: a\n\ndata: b\n\nevent: y\n\ndata: c\n\n", []Event{
		{Message: text("a", "x")}, {Message: text("b", "message")}, {Message: text("c", "message")}}},
	{"no data, no event, but an id", "id: 1\n\ndata: a\n\n", []Event{{Message: text("a", "message"), Cursor: "1"}}},
	{"id stays", "id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n", []Event{
		{Message: text("a", "message"), Cursor: "1"}, {Message: text("b", "message"), Cursor: "1"}, {Message: text("c", "message")}}},
	{"id with NUL", "id: 1\nid: 2\x00\ndata: a\n\n", []Event{{Message: text("a", "message"), Cursor: "1"}}},
	{"retry", "retry: 250\nretry: +5\nretry: 1e3\nretry: \nretry: 99999999999999999999\ndata: a\n\n", []Event{
		{Message: text("a", "message"), Retry: 250 * time.Millisecond}}},
	{"incomplete block", "data: a\n\nid: 1\ndata: b\n", []Event{{Message: text("a", "message")}}},
	{"incomplete line", "data: a\n\ndata: b\n\r\ndata: c", []Event{{Message: text("a", "message")}, {Message: text("b", "message")}}},
	{"not UTF-8", "data: a\xff\n\n", []Event{{Message: text("a�", "message")}}},
	{"unknown control event", "event: comet.new\ndata: a\n\ndata: b\n\n", []Event{{Message: text("b", "message")}}},
	{"ready", "id: 7\nevent: comet.ready\ndata: {\"node\":\"n1\",\ndata: \"cursor\":\"7\"}\n\n", []Event{
		{Kind: KindReady, Node: "n1", Cursor: "7"}}},
	{"empty", "", nil},
}

func TestSSEReader(t *testing.T) {
	for _, test := range sseTests {
		t.Run(test.name, func(t *testing.T) {
			got, err := readAll(strings.NewReader(test.stream), SSERaw)
			if err != io.EOF || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

func TestReaderCursor(t *testing.T) {
	kept, passing := message(`1`), ephemeral(message(`2`))
	tests := []struct {
		name    string
		several bool
		want    []string // of ready, gap, ephemeral, kept, ephemeral, bye
	}{
		{"one channel", false, []string{"0-0", "1-0~00abc", "1-0~00abc", "1767323045678-0", "1767323045678-0", "1767323045678-0"}},
		{"several channels", true, []string{"r", "g", "g", "k", "k", "k"}},
	}
	for _, test := range tests {
		for name, f := range formats {
			b := f.AppendReady(nil, "n1", []byte(test.want[0]), nil, false)
			b = f.AppendHeartbeat(b)
			b = f.AppendGap(b, gap, []byte(test.want[1]), nil)
			b = f.AppendMessage(b, passing, nil, test.several)
			b = f.AppendMessage(b, kept, []byte(test.want[3]), test.several)
			b = f.AppendMessage(b, passing, nil, test.several)
			b = f.AppendBye(b, "drain", 0)
			events, err := readAll(strings.NewReader(string(b)), f)
			var got []string
			for _, e := range events {
				got = append(got, e.Cursor)
			}
			if err != io.EOF || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s, %s: got %q, %v; want %q", test.name, name, got, err, test.want)
			}
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	tests := []struct {
		name   string
		format Format
		stream string
	}{
		{"text", SSE, "data: hello\n\n"},
		{"an array", NDJSON, "[]\n"},
		{"no channel", NDJSON, `{"id":"1-0","type":"a","data":1}` + "\n"},
		{"no id", NDJSON, `{"channel":"a","type":"a","data":1}` + "\n"},
		{"the zero id", NDJSON, `{"id":"0-0","channel":"a","type":"a","data":1}` + "\n"},
		{"no data", NDJSON, `{"id":"1-0","channel":"a","type":"a"}` + "\n"},
		{"gap without ids", SSERaw, "event: comet.gap\ndata: {}\n\n"},
		{"endless line", SSERaw, "data: " + strings.Repeat("a", MaxEventBytes) + "\n\n"},
		{"endless data", SSERaw, strings.Repeat("data: "+strings.Repeat("a", 1<<20)+"\n", 9) + "\n"},
	}
	for _, test := range tests {
		r := NewReader(strings.NewReader(test.stream), test.format)
		_, err := r.Next()
		_, again := r.Next()
		if !errors.Is(err, ErrMalformed) || err != again {
			t.Errorf("%s: got %v, then %v; want ErrMalformed twice", test.name, err, again)
		}
	}
}

func TestReaderReturnsStreamError(t *testing.T) {
	broken := errors.New("broken")
	for name, f := range formats {
		stream := f.AppendBye(nil, "drain", time.Second)
		events, err := readAll(io.MultiReader(strings.NewReader(string(stream)), iotest.ErrReader(broken)), f)
		want := []Event{{Kind: KindBye, Reason: "drain", Retry: time.Second}}
		if err != broken || !reflect.DeepEqual(events, want) {
			t.Errorf("%s: got %+v, %v", name, events, err)
		}
	}
}

// TestReaderDoesNotWait: an event is there as soon as its last byte is.
func TestReaderDoesNotWait(t *testing.T) {
	for _, end := range []string{"\n\n", "\r\r", "\r\n\r\n"} {
		pr, pw := io.Pipe()
		written := make(chan error)
		go func() {
			_, err := io.WriteString(pw, "data: a"+end)
			written <- err
		}()
		if e, err := NewReader(pr, SSERaw).Next(); err != nil || string(e.Message.Data) != `"a"` {
			t.Errorf("%q: got %+v, %v", end, e, err)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
	}
}

// FuzzReader: whatever comes, nothing panics, and the events and the error
// depend on the bytes alone, not on the chunks they come in.
func FuzzReader(f *testing.F) {
	for _, test := range sseTests {
		f.Add([]byte(test.stream), uint8(SSERaw))
	}
	for _, format := range formats {
		b := format.AppendReady(nil, "n1", []byte("0-0"), nil, false)
		b = format.AppendMessage(b, message(`"a\r\nb"`), []byte("c1"), true)
		b = format.AppendHeartbeat(b)
		b = format.AppendGap(b, gap, []byte("c2"), nil)
		b = format.AppendBye(b, "drain", time.Second)
		f.Add(b, uint8(format))
	}
	f.Fuzz(func(t *testing.T, stream []byte, format uint8) {
		whole, err1 := readAll(strings.NewReader(string(stream)), Format(format%3))
		bytewise, err2 := readAll(iotest.OneByteReader(strings.NewReader(string(stream))), Format(format%3))
		if !reflect.DeepEqual(whole, bytewise) || err1.Error() != err2.Error() {
			t.Errorf("whole %+v, %v; bytewise %+v, %v", whole, err1, bytewise, err2)
		}
		for _, e := range whole {
			if strings.ContainsAny(e.Cursor, "\r\n") && Format(format%3) != NDJSON {
				t.Errorf("cursor %q", e.Cursor)
			}
		}
	})
}
