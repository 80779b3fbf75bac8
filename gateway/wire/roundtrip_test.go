package wire

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"comet/pubsub"
)

// decoded is m as a decoder has it.
func decoded(m *pubsub.Message) *pubsub.Message {
	d := *m
	d.Prev = pubsub.ID{}
	d.Time = m.Time.UTC().Truncate(time.Millisecond)
	return &d
}

// decodedRaw is m as the decoder of SSERaw has it.
func decodedRaw(t *testing.T, m *pubsub.Message) *pubsub.Message {
	payload := string(m.Data)
	if m.Data[0] == '"' {
		if err := json.Unmarshal(m.Data, &payload); err != nil {
			t.Fatal(err)
		}
		payload = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(payload)
	}
	data, err := pubsub.TextData(payload)
	if err != nil {
		t.Fatal(err)
	}
	return &pubsub.Message{Type: m.Type, Data: data}
}

// FuzzRoundTrip: what is encoded is decoded, in every format.
func FuzzRoundTrip(f *testing.F) {
	f.Add("chat/42", "message", []byte(`{"a":"b\nc"}`), uint64(1767323045678), uint16(3), "c1", false)
	f.Add("a\"b\\é\u2028", "tick", []byte(`"one\r\ntwo\rthree\n\ud83d\ude00\ud83d"`), uint64(0), uint16(0), "c1", true)
	f.Add("a", "a:b", []byte(`""`), uint64(1), uint16(1023), "c", true)
	f.Add("a", "message", []byte(`null`), uint64(1), uint16(0), "c", true)
	f.Add("a", "message", []byte(`"\"\\\/\b\f\t\u0000"`), uint64(1), uint16(0), "c", true)
	f.Fuzz(func(t *testing.T, channel, messageType string, data []byte, ms uint64, counter uint16, cursor string, several bool) {
		draft := pubsub.Draft{Channel: channel, Type: messageType, Data: data}
		compact, err := pubsub.CompactJSON(data)
		if draft.Validate() != nil || err != nil || messageType == "" || cursor == "" || strings.ContainsFunc(cursor, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Skip()
		}
		m := &pubsub.Message{Channel: channel, Type: messageType, Data: compact, Time: time.UnixMicro(int64(ms % (1 << 50)))}
		m.ID = pubsub.ID{MS: ms & pubsub.MaxMS, Counter: counter & pubsub.MaxCounter}
		if !several {
			cursor = m.ID.String()
		}
		g := &pubsub.Gap{Channel: channel, From: m.ID, To: pubsub.ID{MS: 9}, Reason: pubsub.Rewound}
		roundTripEvents(t, m, g, cursor, several)
		roundTripAnswers(t, m, g, cursor)
	})
}

func roundTripEvents(t *testing.T, m *pubsub.Message, g *pubsub.Gap, cursor string, several bool) {
	for name, f := range formats {
		before, after := "before", cursor
		messageCursor := []byte(cursor)
		if m.Ephemeral() {
			messageCursor, after = nil, before
		}
		b := f.AppendReady(nil, m.Channel, []byte(before), nil, false)
		b = f.AppendMessage(b, m, messageCursor, several)
		b = f.AppendHeartbeat(b)
		b = f.AppendGap(b, g, []byte("after the gap"), nil)
		b = f.AppendBye(b, m.Channel, 1234*time.Millisecond)
		want := []Event{
			{Kind: KindReady, Node: m.Channel, Cursor: before},
			{Kind: KindMessage, Message: decoded(m), Cursor: after},
			{Kind: KindGap, Gap: g, Cursor: "after the gap"},
			{Kind: KindBye, Reason: m.Channel, Cursor: "after the gap", Retry: 1234 * time.Millisecond},
		}
		if f == SSERaw {
			want[1].Message = decodedRaw(t, m)
		}
		got, err := readAll(strings.NewReader(string(b)), f)
		if err != io.EOF || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v\nwant %+v\nfrom %q", name, got, err, want, b)
		}
	}
}

func roundTripAnswers(t *testing.T, m *pubsub.Message, g *pubsub.Gap, cursor string) {
	want := &Poll{Cursor: cursor, Messages: []*pubsub.Message{decoded(m), decoded(m)}, Gaps: []*pubsub.Gap{g}}
	if got, err := ParsePoll(want.AppendJSON(nil)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	page := &History{Messages: []*pubsub.Message{decoded(m)}, More: true}
	if got, err := ParseHistory(page.AppendJSON(nil)); err != nil || !reflect.DeepEqual(got, page) {
		t.Errorf("got %+v, %v; want %+v", got, err, page)
	}
}

func TestAnswers(t *testing.T) {
	tests := []struct {
		answer interface{ AppendJSON([]byte) []byte }
		want   string
	}{
		{&Poll{Cursor: "c"}, `{"cursor":"c","messages":[],"gap":[]}`},
		{&Poll{Cursor: "c", Messages: []*pubsub.Message{message("1"), message("2")}, Gaps: []*pubsub.Gap{gap}},
			`{"cursor":"c","messages":[` + messageHead + "1" + messageTail + "}," + messageHead + "2" + messageTail + `}],"gap":[{` + gapMembers + `}]}`},
		{&History{}, `{"messages":[],"more":false}`},
		{&History{Messages: []*pubsub.Message{message("1")}, More: true}, `{"messages":[` + messageHead + "1" + messageTail + `}],"more":true}`},
		{&Presence{Channel: "c"}, `{"channel":"c","count":0,"users":[]}`},
		{presencePage, presenceText},
	}
	for _, test := range tests {
		if got := string(test.answer.AppendJSON(nil)); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func TestParseAnswersRefuse(t *testing.T) {
	for _, input := range []string{"", "[]", "{}", `{"cursor":"c","more":true,"messages":[{}]}`, `{"cursor":"c","gap":[{}]}`} {
		if _, err := ParsePoll([]byte(input)); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParsePoll(%s): %v", input, err)
		}
		if _, err := ParseHistory([]byte(input)); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParseHistory(%s): %v", input, err)
		}
	}
}

// FuzzParsePoll: what can be parsed can be encoded, and is the same then.
func FuzzParsePoll(f *testing.F) {
	f.Add([]byte(`{"cursor":"c","messages":[` + messageHead + "1" + messageTail + `}],"gap":[{` + gapMembers + `}]}`))
	f.Add([]byte(`{"cursor":"","messages":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePoll(b)
		if err != nil {
			return
		}
		for _, m := range p.Messages {
			*m = *decoded(m) // times on the wire end at the millisecond
		}
		again, err := ParsePoll(p.AppendJSON(nil))
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("got %+v, %v; want %+v", again, err, p)
		}
	})
}
