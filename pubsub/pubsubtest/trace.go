package pubsubtest

import (
	"testing"

	"comet/pubsub"
)

// A message's trace comes to every node with it, is passed to OnRelayed there before
// any subscriber gets the message, and stays with it in the log. Other messages have
// none.
func testTrace(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	relayed := []chan string{make(chan string, 10), make(chan string, 10)}
	var hubs []*pubsub.Hub
	var readers []*reader
	for _, traces := range relayed {
		hub := nodeWith(t, c, pubsub.Options{OnRelayed: func(m *pubsub.Message) { traces <- m.Trace }})
		hubs = append(hubs, hub)
		readers = append(readers, read(t, hub, "c", pubsub.From{}))
	}
	publish(t, hubs[0], "c", number(0))
	drafts := []pubsub.Draft{
		{Channel: "c", Data: number(1), Trace: trace},
		{Channel: "c", Data: number(2), Trace: trace, Ephemeral: true},
	}
	for _, d := range drafts {
		if r := hubs[0].Publish(t.Context(), []pubsub.Draft{d})[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	publish(t, hubs[0], "c", number(3))
	for i, r := range readers {
		for _, m := range messages(r.message(number(3))) {
			want := ""
			if string(m.Data) == "1" || string(m.Data) == "2" {
				want = trace
			}
			if m.Trace != want {
				t.Errorf("node %d: message %s has trace %q, want %q", i, m.Data, m.Trace, want)
			}
		}
		if traces := relayed[i]; len(traces) != len(drafts) || <-traces != trace || <-traces != trace {
			t.Errorf("node %d: OnRelayed did not get the %d messages with their trace; %d more", i, len(drafts), len(traces))
		}
	}
	page, err := hubs[1].Read(t.Context(), pubsub.Query{Channel: "c", Limit: 10})
	if err != nil || len(page.Messages) != 3 || page.Messages[0].Trace != "" || page.Messages[1].Trace != trace {
		t.Errorf("the log has %+v, %v", page.Messages, err)
	}
	for _, bad := range []string{"a b", "a\nb", "é", trace + trace} {
		if r := hubs[0].Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: number(4), Trace: bad}})[0]; r.Err == nil {
			t.Errorf("took the trace %q", bad)
		}
	}
}
