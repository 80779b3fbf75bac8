package wire

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"comet/pubsub"
)

var formats = map[string]Format{"SSE": SSE, "SSERaw": SSERaw, "NDJSON": NDJSON}

// message is a kept message of type "message"; its id is 1767323045678-0.
func message(data string) *pubsub.Message {
	m := &pubsub.Message{
		Channel: "chat/42",
		Type:    pubsub.DefaultType,
		Data:    []byte(data),
		ID:      pubsub.ID{MS: 1767323045678},
		Time:    time.Date(2026, 1, 2, 4, 4, 5, 678_900_000, time.FixedZone("", 3600)),
	}
	return m
}

func typed(m *pubsub.Message, messageType string) *pubsub.Message {
	m.Type = messageType
	return m
}

// sent is m with a sender and tags.
func sent(m *pubsub.Message) *pubsub.Message {
	tags, err := pubsub.NewTags(map[string]string{"room": "42", "lang": `"é"`})
	if err != nil {
		panic(err)
	}
	m.From, m.Tags = `key:"a"`, tags
	return m
}

func ephemeral(m *pubsub.Message) *pubsub.Message {
	m.ID = pubsub.ID{}
	return m
}

var gap = &pubsub.Gap{
	Channel: "chat/42",
	From:    pubsub.ID{MS: 1},
	To:      pubsub.ID{MS: 7, Counter: 1},
	Reason:  pubsub.Trimmed,
}

const (
	messageHead = `{"id":"1767323045678-0","channel":"chat/42","type":"message","data":`
	messageTail = `,"time":"2026-01-02T03:04:05.678Z"`
	sentTail    = `,"from":"key:\"a\"","tags":{"lang":"\"é\"","room":"42"}`
	gapMembers  = `"channel":"chat/42","from":"1-0","to":"7-1048576","reason":"trimmed"`
)

func TestAppendMessage(t *testing.T) {
	tests := []struct {
		name    string
		format  Format
		message *pubsub.Message
		cursor  string
		several bool
		want    string
	}{
		{"default type", SSE, message(`{"a":1}`), "c1", false,
			"id: c1\ndata: " + messageHead + `{"a":1}` + messageTail + "}\n\n"},
		{"own type", SSE, typed(message(`1`), "tick"), "c1", true,
			"id: c1\nevent: tick\ndata: " + `{"id":"1767323045678-0","channel":"chat/42","type":"tick","data":1` + messageTail + "}\n\n"},
		{"ephemeral", SSE, ephemeral(message(`1`)), "", true,
			`data: {"ephemeral":true,"channel":"chat/42","type":"message","data":1` + messageTail + "}\n\n"},
		{"sent", SSE, sent(message(`1`)), "c1", false, "id: c1\ndata: " + messageHead + `1` + messageTail + sentTail + "}\n\n"},
		{"sent, line with cursor", NDJSON, sent(message(`1`)), "c1", true, messageHead + `1` + messageTail + sentTail + `,"cursor":"c1"}` + "\n"},
		{"sent, raw", SSERaw, sent(message(`1`)), "c1", false, "id: c1\ndata: 1\n\n"},
		{"raw object", SSERaw, message(`{"a":"x\ny"}`), "c1", false, "id: c1\ndata: {\"a\":\"x\\ny\"}\n\n"},
		{"raw text", SSERaw, typed(message(`"<b>hé \"you\"<\/b>"`), "html"), "c1", false, "id: c1\nevent: html\ndata: <b>hé \"you\"</b>\n\n"},
		{"raw empty text", SSERaw, ephemeral(message(`""`)), "", false, "data: \n\n"},
		{"line", NDJSON, message(`[1]`), "c1", false, messageHead + `[1]` + messageTail + "}\n"},
		{"line with cursor", NDJSON, message(`[1]`), "c1", true, messageHead + `[1]` + messageTail + `,"cursor":"c1"}` + "\n"},
		{"ephemeral line", NDJSON, ephemeral(message(`[1]`)), "", true,
			`{"ephemeral":true,"channel":"chat/42","type":"message","data":[1]` + messageTail + "}\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var cursor []byte
			if test.cursor != "" {
				cursor = []byte(test.cursor)
			}
			got := string(test.format.AppendMessage([]byte("before "), test.message, cursor, test.several))
			if got != "before "+test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestPayloadText(t *testing.T) {
	tests := []struct{ data, want string }{
		{`"one\ntwo"`, "data: one\ndata: two"},
		{`"one\rtwo\r\nthree\n\rfour"`, "data: one\ndata: two\ndata: three\ndata: \ndata: four"},
		{`"\r\u000aone\r \n"`, "data: \ndata: one\ndata:  \ndata: "},
		{`"\b\f\t\\\/\u0000\u00e9"`, "data: \b\f\t\\/\x00é"},
		{`"\ud83d\ude00"`, "data: 😀"},
		{`"\ud83d\ud83d\ude00\ude00"`, "data: �😀�"},
		{`null`, "data: null"},
	}
	for _, test := range tests {
		if got := string(appendPayload(nil, []byte(test.data))); got != test.want {
			t.Errorf("%s: got %q, want %q", test.data, got, test.want)
		}
	}
}

func TestAppendControl(t *testing.T) {
	cursor := []byte("c1")
	tests := []struct {
		name      string
		append    func(Format) []byte
		sse, line string
	}{
		{"ready", func(f Format) []byte { return f.AppendReady(nil, "n1", cursor, nil, false) },
			"id: c1\nevent: comet.ready\ndata: {\"node\":\"n1\",\"cursor\":\"c1\"}\n\n",
			`{"event":"comet.ready","node":"n1","cursor":"c1"}` + "\n"},
		{"ready with more", func(f Format) []byte { return f.AppendReady(nil, "n1", cursor, nil, true) },
			"id: c1\nevent: comet.ready\ndata: {\"node\":\"n1\",\"cursor\":\"c1\",\"more\":true}\n\n",
			`{"event":"comet.ready","node":"n1","cursor":"c1","more":true}` + "\n"},
		{"gap", func(f Format) []byte { return f.AppendGap(nil, gap, cursor, nil) },
			"id: c1\nevent: comet.gap\ndata: {" + gapMembers + "}\n\n",
			`{"event":"comet.gap",` + gapMembers + `,"cursor":"c1"}` + "\n"},
		{"bye", func(f Format) []byte { return f.AppendBye(nil, "drain", 1500*time.Millisecond) },
			"retry: 1500\nevent: comet.bye\ndata: {\"reason\":\"drain\"}\n\n",
			`{"event":"comet.bye","reason":"drain","retry":1500}` + "\n"},
		{"bye without retry", func(f Format) []byte { return f.AppendBye(nil, "slow", 0) },
			"event: comet.bye\ndata: {\"reason\":\"slow\"}\n\n",
			`{"event":"comet.bye","reason":"slow"}` + "\n"},
		{"heartbeat", func(f Format) []byte { return f.AppendHeartbeat(nil) }, ":\n", "\n"},
	}
	for _, test := range tests {
		for name, f := range formats {
			want := test.sse
			if f == NDJSON {
				want = test.line
			}
			if got := string(test.append(f)); got != want {
				t.Errorf("%s as %s: got %q, want %q", test.name, name, got, want)
			}
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\/\b\n\x00\x1f\x7f", "é\u2028😀", "\xff\xc3(", "�"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, _ := pubsub.TextData(string([]rune(s)))
		var got, wanted string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(want, &wanted); err != nil || got != wanted {
			t.Errorf("got %q, want %q (%v)", got, wanted, err)
		}
	})
}

func TestAppendersAllocateNothing(t *testing.T) {
	m, cursor := typed(message(`"a\nb"`), "tick"), []byte("1767323045678-0")
	m.Channel = "quotes \" and é"
	sent(m)
	b := make([]byte, 0, 4<<10)
	poll := &Poll{Cursor: "c", Messages: []*pubsub.Message{m, m}, Gaps: []*pubsub.Gap{gap}}
	for name, f := range formats {
		got := testing.AllocsPerRun(100, func() {
			f.AppendMessage(b, m, cursor, true)
			f.AppendReady(b, "n1", cursor, nil, false)
			f.AppendGap(b, gap, cursor, nil)
			f.AppendBye(b, "drain", time.Second)
			f.AppendHeartbeat(b)
			poll.AppendJSON(b)
		})
		if got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

// BenchmarkEncodeMessage: a message of 100 bytes of text.
func BenchmarkEncodeMessage(b *testing.B) {
	m, cursor := message(fmt.Sprintf("%q", fmt.Sprintf("%0100d", 0))), []byte("1767323045678-0")
	for name, f := range formats {
		b.Run(name, func(b *testing.B) {
			buf := make([]byte, 0, 4<<10)
			b.ReportAllocs()
			for b.Loop() {
				buf = f.AppendMessage(buf[:0], m, cursor, true)
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

// BenchmarkEncodePoll: an answer with 50 of them.
func BenchmarkEncodePoll(b *testing.B) {
	p := &Poll{Cursor: "1767323045678-0"}
	for range 50 {
		p.Messages = append(p.Messages, message(fmt.Sprintf("%q", fmt.Sprintf("%0100d", 0))))
	}
	buf := make([]byte, 0, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		buf = p.AppendJSON(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}
