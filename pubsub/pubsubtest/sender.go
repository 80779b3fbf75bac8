package pubsubtest

import (
	"errors"
	"strings"
	"testing"

	"comet/pubsub"
)

// tags returns tags that are valid.
func tags(t *testing.T, pairs map[string]string) pubsub.Tags {
	t.Helper()
	all, err := pubsub.NewTags(pairs)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The sender and the tags of a message are the same for live subscribers of every node, in
// the log, and after a replay: of single messages, batches, large and ephemeral messages,
// with a trace or without.
func testSender(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	hubs := []*pubsub.Hub{node(t, c), node(t, c)}
	readers := []*reader{read(t, hubs[0], "c", pubsub.From{}), read(t, hubs[1], "c", pubsub.From{})}
	some := tags(t, map[string]string{"room": "42", "a/b": "\"<ü>\u2028\\ :,", "empty": ""})
	drafts := []pubsub.Draft{
		{Channel: "c", Data: number(0), From: "alice"},
		{Channel: "c", Data: number(1), Tags: some},
		{Channel: "c", Data: number(2)},
		{Channel: "c", Data: number(3), From: "key:\"b\" ü\\", Tags: some, Type: "x"},
		{Channel: "c", Data: number(4), From: "alice", Trace: "00-a"},
		{Channel: "c", Data: number(5), From: "alice", Tags: some, Ephemeral: true},
		{Channel: "c", Data: number(6), Ephemeral: true, Trace: "00-a", From: strings.Repeat("x", pubsub.MaxFromBytes)},
		{Channel: "c", Data: []byte(`"` + strings.Repeat("large", 20000) + `"`), From: "alice", Tags: some},
		{Channel: "c", Data: []byte(`{"a":["]","}"]}`), From: "alice", Tags: some},
	}
	for i := range drafts {
		if r := hubs[0].Publish(t.Context(), drafts[i:i+1])[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	for i, r := range hubs[1].Publish(t.Context(), drafts) {
		if r.Err != nil {
			t.Fatalf("batch, message %d: %v", i, r.Err)
		}
	}
	publish(t, hubs[0], "c", number(99))
	want := append(drafts[:len(drafts):len(drafts)], drafts...)
	for i, r := range readers {
		wantDrafts(t, i, messages(r.message(number(99))), want)
	}
	var kept []pubsub.Draft
	for _, d := range want {
		if !d.Ephemeral {
			kept = append(kept, d)
		}
	}
	late := read(t, node(t, c), "c", pubsub.From{Earliest: true})
	wantDrafts(t, 2, messages(late.message(number(99))), kept)
}

// wantDrafts checks that messages say what drafts said; one more may follow. Large messages
// are read later than small ephemeral ones that follow them, so the two are compared apart.
func wantDrafts(t *testing.T, node int, messages []*pubsub.Message, drafts []pubsub.Draft) {
	t.Helper()
	for _, ephemeral := range []bool{false, true} {
		var got []*pubsub.Message
		for _, m := range messages {
			if m.Ephemeral() == ephemeral && string(m.Data) != string(number(99)) {
				got = append(got, m)
			}
		}
		var want []pubsub.Draft
		for _, d := range drafts {
			if d.Ephemeral == ephemeral {
				want = append(want, d)
			}
		}
		if len(got) != len(want) {
			t.Errorf("node %d: %d messages (ephemeral: %t), want %d", node, len(got), ephemeral, len(want))
			continue
		}
		for i, m := range got {
			d := &want[i]
			if m.From != d.From || m.Tags != d.Tags || m.Trace != d.Trace || string(m.Data) != string(d.Data) {
				t.Errorf("node %d: message %.20s of %q with tags %v and trace %q, want %.20s of %q with %v and %q",
					node, m.Data, m.From, m.Tags.Map(), m.Trace, d.Data, d.From, d.Tags.Map(), d.Trace)
			}
		}
	}
}

// A repeat with other tags is another message, and one with the same tags in another order
// is not.
func testTagsIdempotent(t *testing.T, newCluster New) {
	hub := node(t, newCluster(t, small))
	send := func(all pubsub.Tags) pubsub.Receipt {
		return hub.Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: number(1), Key: "k", Tags: all}})[0]
	}
	first := send(tags(t, map[string]string{"a": "1", "b": "2"}))
	if first.Err != nil {
		t.Fatal(first.Err)
	}
	if again := send(tags(t, map[string]string{"b": "2", "a": "1"})); again.Err != nil || !again.Duplicate || again.ID != first.ID {
		t.Errorf("repeated: %+v, want a duplicate of %s", again, first.ID)
	}
	for _, other := range []pubsub.Tags{{}, tags(t, map[string]string{"a": "1"}), tags(t, map[string]string{"a": "1", "b": "3"})} {
		if r := send(other); !errors.Is(r.Err, pubsub.ErrKeyReused) {
			t.Errorf("with tags %v: %+v, want ErrKeyReused", other.Map(), r)
		}
	}
}
