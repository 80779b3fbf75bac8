package wire

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"comet/pubsub"
)

var presencePage = NewPresence("chat/1", &pubsub.MemberPage{Count: 3, More: true, Members: []pubsub.Member{
	{User: "alice", Info: []byte(`{"name":"Alice"}`), Since: time.UnixMilli(1767323045670).UTC()},
	{User: `b"é`, Since: time.UnixMilli(0).UTC()},
}})

const presenceText = `{"channel":"chat/1","count":3,"users":[` +
	`{"user":"alice","info":{"name":"Alice"},"since":"2026-01-02T03:04:05.670Z"},{"user":"b\"é","since":"1970-01-01T00:00:00.000Z"}],"next":"b\"é"}`

func TestParsePresenceRefuses(t *testing.T) {
	t.Parallel()
	for _, input := range []string{
		"", "[]", "{}", `{"channel":"c","users":[]}`, `{"count":0}`, `{"channel":"c","count":0,"users":[{"user":"a"}]}`,
		`{"channel":"c","count":1,"users":[{"since":"2026-01-02T03:04:05Z"}]}`, `{"channel":"c","count":1,"users":[{"user":"a","since":"now"}]}`,
		`{"channel":"c","count":1,"users":[{"user":"a","info":"` + "\xff" + `"}]}`,
	} {
		if p, err := ParsePresence([]byte(input)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", input, p, err)
		}
	}
}

// FuzzParsePresence: what can be parsed can be encoded, and is the same then.
func FuzzParsePresence(f *testing.F) {
	f.Add([]byte(presenceText))
	f.Add([]byte(`{"channel":"c","count":0,"users":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePresence(b)
		if err != nil {
			return
		}
		for i := range p.Users {
			p.Users[i].Since = p.Users[i].Since.Truncate(time.Millisecond) // as on the wire
		}
		if len(p.Users) == 0 {
			p.Users = nil
		}
		again, err := ParsePresence(p.AppendJSON(nil))
		if err == nil && len(again.Users) == 0 {
			again.Users = nil
		}
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("got %+v, %v; want %+v", again, err, p)
		}
	})
}

// Joins and leaves are messages, in every format.
func TestPresenceEvents(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{pubsub.JoinType, pubsub.LeaveType} {
		m := &pubsub.Message{Channel: "c", Type: kind, Data: []byte(`{"user":"alice"}`), Time: time.UnixMilli(1).UTC()}
		roundTripEvents(t, m, gap, "c1", false)
	}
}
