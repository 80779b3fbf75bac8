package wire

import (
	"encoding/json"
	"maps"
	"testing"

	"comet/pubsub"
)

// Channels' own cursors are a JSON object, whatever the channels are called.
func TestAppendCursors(t *testing.T) {
	want := map[string]string{`a"b\`: "1-2", "chat/é": "0-0~00001", "": "5-3145771"}
	cursors := func(yield func(string, pubsub.Cursor) bool) {
		for channel, text := range want {
			at, err := pubsub.ParseCursor(text)
			if err != nil {
				t.Fatal(err)
			}
			if !yield(channel, at) {
				return
			}
		}
	}
	var got map[string]string
	if text := AppendCursors(nil, cursors); json.Unmarshal(text, &got) != nil || !maps.Equal(got, want) {
		t.Errorf("got %s, want %v", text, want)
	}

	// They are sent where they are requested, and nowhere else.
	p := Poll{Cursor: "c", Cursors: AppendCursors(nil, cursors)}
	back, err := ParsePoll(p.AppendJSON(nil))
	if err != nil || string(back.Cursors) != string(p.Cursors) {
		t.Errorf("came back as %+v, %v", back, err)
	}
	ready := string(NDJSON.AppendReady(nil, "n", []byte("c"), []byte(`{"a":"1-1"}`), false))
	if want := `{"event":"comet.ready","node":"n","cursor":"c","cursors":{"a":"1-1"}}` + "\n"; ready != want {
		t.Errorf("got %s, want %s", ready, want)
	}
}
