package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"comet/pubsub"
)

func TestEventsHeader(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for accept, contentType := range map[string]string{
			"":                  "text/event-stream",
			"text/event-stream": "text/event-stream",
			asLines:             asLines,
			"text/html, application/x-ndjson;q=0.9, */*;q=0.8": asLines,
		} {
			s := c.open("channel=c", "Accept", accept)
			for name, want := range map[string]string{
				"Content-Type":           contentType,
				"Cache-Control":          "no-store, no-transform",
				"X-Accel-Buffering":      "no",
				"X-Content-Type-Options": "nosniff",
			} {
				if got := s.header.Get(name); got != want {
					t.Errorf("Accept %q: %s: %q, want %q", accept, name, got, want)
				}
			}
			if !strings.HasPrefix(s.header.Get("Comet-Node"), "node-") {
				t.Errorf("no Comet-Node: %v", s.header)
			}
		}
	})
}

// What a stream looks like, byte by byte.
func TestEventsText(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		s := c.open("channel=c")
		node := s.header.Get("Comet-Node")
		ready := s.block()
		line, _, _ := strings.Cut(ready, "\n")
		cursor := strings.TrimPrefix(line, "id: ")
		if want := "id: " + cursor + "\nevent: comet.ready\ndata: {\"node\":\"" + node + `","cursor":"` + cursor + "\"}\n"; ready != want || !last(t, []string{"c"}, cursor)[0].IsZero() {
			t.Errorf("got\n%s\nwant\n%s", ready, want)
		}
		id := c.publish("c", `{"a": 1}`)
		at := `,"time":"` + timeOf(t, id) + `"}` + "\n"
		wantBlock(t, s, "id: "+id+"\ndata: {\"id\":\""+id+`","channel":"c","type":"message","data":{"a":1}`+at)
		id = c.accepted(post(publishTo+"?type=tick", "a\nb", "Content-Type", "text/plain")).ID
		at = `,"time":"` + timeOf(t, id) + `"}` + "\n"
		wantBlock(t, s, "id: "+id+"\nevent: tick\ndata: {\"id\":\""+id+`","channel":"c","type":"tick","data":"a\nb"`+at)
	})
}

func timeOf(t *testing.T, text string) string {
	t.Helper()
	id, err := pubsub.ParseID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id.Time().Format("2006-01-02T15:04:05.000Z07:00")
}

func wantBlock(t *testing.T, s *stream, want string) {
	t.Helper()
	if got := s.block(); got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}

// format=raw has just the payload, for what cannot take JSON apart.
func TestEventsRaw(t *testing.T) {
	tests := []struct{ name, contentType, body, data string }{
		{"text", "text/plain", "<b>hé</b>", "data: <b>hé</b>\n"},
		{"lines", "text/plain", "one\ntwo\r\nthree\n", "data: one\ndata: two\ndata: three\ndata: \n"},
		{"object", asJSON, `{"a": "x\ny"}`, `data: {"a":"x\ny"}` + "\n"},
		{"number", asJSON, `42`, "data: 42\n"},
		{"empty", "text/plain", "", "data: \n"},
	}
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		s := c.open("channel=c&format=raw")
		if ready := s.block(); !strings.Contains(ready, "event: comet.ready\ndata: {") {
			t.Errorf("got %s", ready)
		}
		for _, test := range tests {
			r := c.accepted(post(publishTo+"?type="+test.name, test.body, "Content-Type", test.contentType))
			wantBlock(t, s, "id: "+r.ID+"\nevent: "+test.name+"\n"+test.data)
		}
	})
}

// By NDJSON a message's own id is the cursor of one channel; of several it is
// a member.
func TestEventsLines(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for i, query := range []string{"channel=a", "channel=b&channel=c"} {
			channel := string("ab"[i])
			s := c.open(query, "Accept", asLines)
			s.want("ready")
			first := c.publish(channel, "1")
			s.want("1")
			if one := i == 0; one != (s.cursor == first) {
				t.Errorf("%s: cursor %s behind %s", query, s.cursor, first)
			}
			c.publish(channel, "2")
			resumed := c.open(query+"&cursor="+s.cursor, "Accept", asLines)
			resumed.want("ready", "2")
		}
	})
}

// Where a stream begins. #n is the ID of message n.
func TestEventsBegin(t *testing.T) {
	tests := []struct {
		name, query, lastEventID string
		first                    int
	}{
		{"now", "", "", 10},
		{"the last", "&last=3", "", 7},
		{"more than there are", "&last=999", "", 0},
		{"none of the last", "&last=0", "", 10},
		{"the oldest", "&cursor=earliest", "", 0},
		{"before the first", "&cursor=0-0", "", 0},
		{"a cursor", "&cursor=#4", "", 5},
		{"a cursor, not last", "&last=1&cursor=#4", "", 5},
		{"Last-Event-ID", "", "#6", 7},
		{"Last-Event-ID, not the cursor", "&cursor=earliest&last=2", "#8", 9},
		{"Last-Event-ID at the end", "&cursor=#1", "#9", 10},
		{"Last-Event-ID earliest", "&last=2", "earliest", 0},
		{"lastEventId", "&lastEventId=#6", "", 7},
		{"lastEventID", "&lastEventID=#6", "", 7},
		{"Last-Event-ID in the URL", "&Last-Event-ID=#6", "", 7},
		{"evs_last_event_id", "&evs_last_event_id=#6", "", 7},
		{"lastEventId, not the cursor", "&cursor=earliest&last=2&lastEventId=#8", "", 9},
		{"Last-Event-ID, not lastEventId", "&lastEventId=#6", "#8", 9},
		{"lastEventId without a value", "&last=3&lastEventId=", "", 7},
		{"lastEventId without a value, and one with", "&lastEventId=&lastEventID=#6", "", 7},
		{"lastEventId twice", "&lastEventId=#6&lastEventId=#8", "", 9},
		{"lastEventId earliest", "&last=2&lastEventId=earliest", "", 0},
	}
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for i, test := range tests {
			channel := fmt.Sprint("c", i)
			ids := c.publishNumbers(channel, 0, 9)
			var replace []string
			for n, id := range ids {
				replace = append(replace, fmt.Sprint("#", n), id)
			}
			r := strings.NewReplacer(replace...)
			s := c.open("channel="+channel+r.Replace(test.query), "Last-Event-ID", r.Replace(test.lastEventID))
			s.want("ready")
			ids = append(ids, c.publish(channel, "10"))
			for n := test.first; n <= 10; n++ {
				if s.want(fmt.Sprint(n)); s.cursor != ids[n] {
					t.Errorf("%s: the cursor at %d is %s, want %s", test.name, n, s.cursor, ids[n])
				}
			}
			s.leave()
		}
	})
}

// A client that has seen nothing but comet.ready resumes exactly too.
func TestEventsReady(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		c.publish("old", "0")
		for _, query := range []string{"channel=new", "channel=old", "channel=new&channel=older"} {
			s := c.open(query)
			s.want("ready")
			s.leave()
			c.publish("new", "1")
			c.publish("old", "2")
			resumed := c.open(query, "Last-Event-ID", s.cursor)
			if query == "channel=old" {
				resumed.want("ready", "2")
			} else {
				resumed.want("ready", "1")
			}
		}
	})
}

// Several channels share one cursor, which holds on every node, in any order
// of the same channels, and says for each channel where it is.
func TestEventsSeveral(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		c.publishNumbers("a", 0, 1)
		s := c.open("channel=b/1&channel=a&channel=a&last=1")
		s.want("ready", "1")
		c.publish("b/1", "2")
		s.want("2")
		c.publish("a", "3")
		s.want("3")
		at := s.cursor
		c.publish("b/1", "4")
		s.want("4")
		for _, n := range c.nodes {
			s := c.openAt(n, "channel=a&channel=b/1&cursor="+at)
			s.want("ready", "4")
		}
		if limit := 12*2 + 8; len(at) > limit {
			t.Errorf("the cursor has %d bytes: %s", len(at), at)
		}
	})
}

// Messages that are no longer kept are told of.
func TestEventsGap(t *testing.T) {
	overEach(t, setup{size: 10}, func(t *testing.T, c *cluster) {
		ids := c.publishNumbers("c", 0, 299) // Redis trims in blocks
		s := c.open("channel=c&cursor=" + ids[3])
		s.want("ready")
		gap := s.next().Gap
		if gap == nil || gap.Reason != pubsub.Trimmed || gap.From.String() != ids[3] || s.cursor != gap.To.String() {
			t.Fatalf("got %+v at %s", gap, s.cursor)
		}
		s.want(numbersBehind(ids, gap.To.String())...)
		// Told once: whoever resumes at the gap's own cursor is not told again.
		resumed := c.open("channel=c&cursor=" + gap.To.String())
		resumed.want(append([]string{"ready"}, numbersBehind(ids, gap.To.String())...)...)
	})
}

// numbersBehind are the messages of publishNumbers behind the one named id.
func numbersBehind(ids []string, id string) (numbers []string) {
	found := false
	for i := range ids {
		if found {
			numbers = append(numbers, fmt.Sprint(i))
		}
		found = found || ids[i] == id
	}
	return numbers
}

// An idle stream gives signs of life.
func TestEventsHeartbeat(t *testing.T) {
	overEach(t, setup{heartbeat: 5 * time.Millisecond}, func(t *testing.T, c *cluster) {
		for accept, heartbeat := range map[string]string{"text/event-stream": ":\n", asLines: "\n"} {
			s := c.open("channel=c", "Accept", accept)
			if accept == asLines {
				if _, err := s.body.ReadString('\n'); err != nil { // ready
					t.Fatal(err)
				}
			} else {
				s.block()
			}
			for range 3 {
				if got, err := s.body.ReadString('\n'); got != heartbeat || err != nil {
					t.Fatalf("Accept %q: got %q, %v, want %q", accept, got, err, heartbeat)
				}
			}
		}
	})
}
