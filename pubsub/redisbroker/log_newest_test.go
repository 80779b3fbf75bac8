package redisbroker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

var (
	largeData = fmt.Appendf(nil, "%q", strings.Repeat("x", 100_000))
	smallData = []byte("1")
)

// calls returns how often the server has carried out a command, in scripts too.
func calls(server *redistest.Server, command string) (n int) {
	for line := range strings.Lines(server.Do("INFO", "commandstats").(string)) {
		if _, err := fmt.Sscanf(line, "cmdstat_"+command+":calls=%d,", &n); err == nil {
			return n
		}
	}
	return 0
}

// Large messages are not read only for their IDs.
func TestNewestReadsNoMessage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := newHarness(t, at(server.Addr()))
	publishData(t, c.nodes[0], "a", largeData)
	before := calls(server, "xrevrange")
	end := publishData(t, c.nodes[0], "a", largeData)
	for _, q := range []pubsub.Query{{}, {Cursor: end, Limit: 10}} {
		q.Channel = "a"
		page, err := c.nodes[0].Read(t.Context(), q)
		if err != nil || page.End != end || len(page.Messages) > 0 {
			t.Errorf("%+v: read %+v, %v, want the end %v", q, page, err, end)
		}
	}
	if n := calls(server, "xrevrange") - before; n > 0 {
		t.Errorf("the newest message was read %d times", n)
	}
}

// The chain of messages stays whole, and readers find its end, with any value of the key
// of the newest message's ID.
func TestNewestIsAHint(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := newHarness(t, at(server.Addr()))
	hub := c.nodes[0]
	for _, test := range []struct {
		name  string
		spoil func(log, end string, newest pubsub.ID)
	}{
		{"as it is", func(string, string, pubsub.ID) {}},
		{"evicted", func(_, end string, _ pubsub.ID) { server.Do("DEL", end) }},
		{"another type", func(_, end string, _ pubsub.ID) { server.Do("DEL", end); server.Do("LPUSH", end, "x") }},
		{"no ID", func(_, end string, _ pubsub.ID) { server.Do("SET", end, "x") }},
		{"of a message before", func(_, end string, _ pubsub.ID) { server.Do("SET", end, "1-1") }},
		{"later than all messages", func(_, end string, _ pubsub.ID) { server.Do("SET", end, "4398046511000-1048577") }},
		{"without a sequence number", func(_, end string, _ pubsub.ID) { server.Do("SET", end, "4398046511000") }},
		{"the log is gone", func(log, _ string, _ pubsub.ID) { server.Do("DEL", log) }},
		{"the newest message is gone", func(log, _ string, newest pubsub.ID) { server.Do("XDEL", log, newest.String()) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			channel := strings.ReplaceAll(test.name, " ", "-")
			first := publishData(t, hub, channel, smallData)
			newest := publishData(t, hub, channel, largeData)
			test.spoil("comet:{"+channel+"}:log", "comet:{"+channel+"}:end", newest)
			kept := c.log(channel).Messages
			for _, data := range [][]byte{smallData, smallData, largeData, smallData} {
				id := publishData(t, hub, channel, data)
				log := c.log(channel)
				if n := len(log.Messages); n != len(kept)+1 || log.Messages[n-1].ID != id || log.End != id {
					t.Fatalf("published %v: the log ends at %v and has %d messages, want %d", id, log.End, n, len(kept)+1)
				}
				if m := log.Messages[len(kept)]; len(kept) > 0 && m.Prev != kept[len(kept)-1].ID && m.Prev.Compare(newest) < 0 {
					t.Errorf("%v comes after %v", m.ID, m.Prev)
				}
				kept = log.Messages
			}
			if page, err := hub.Read(t.Context(), pubsub.Query{Channel: channel, Cursor: first, Limit: 1}); err != nil || len(page.Messages) != 1 {
				t.Errorf("read on from the first: %+v, %v", page, err)
			}
		})
	}
}

// After the log has expired, the key of the newest message's ID counts only if Comet may
// have written it.
func TestNewestOfNoLog(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := newHarness(t, at(server.Addr()))
	for i, end := range []string{"x", "1-", "4398046511000-1048577", "99999999999999999999-1"} {
		channel := fmt.Sprint("c", i)
		server.Do("SET", "comet:{"+channel+"}:end", end)
		if page := c.log(channel); !page.PreviousEnd.IsZero() {
			t.Errorf("%q: a log ended with %v", end, page.PreviousEnd)
		}
		id := publishData(t, c.nodes[0], channel, smallData)
		if m := c.log(channel).Messages[0]; !m.Prev.IsZero() || id.Time().Year() > 2100 {
			t.Errorf("%q: published %v after %v", end, id, m.Prev)
		}
	}
}

// If the ID of the newest message cannot be kept after a short-lived log, the log is kept
// for that time.
func TestNewestRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options := at(server.Addr())
	options.Size, options.TTL, options.Timeout = 100, time.Minute, timeout
	hub := hubOver(t, newBroker(t, options))
	server.Do("ACL", "SETUSER", "default", "-set")
	publishData(t, hub, "a", smallData)
	if ms := server.Do("PTTL", "comet:{a}:log").(int64); ms <= options.TTL.Milliseconds() {
		t.Errorf("the log is kept for %d ms", ms)
	}
}

// A message to a short-lived log that has expired, while its slot moves, does not stop
// the move.
func TestNewestHalfMoved(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0)
	nodes := cluster.Nodes()
	options := reach(cluster)
	options.Size, options.TTL, options.Timeout = 100, time.Minute, patience
	hub := hubOver(t, newBroker(t, options))
	channel := channelAt(cluster, nodes[0], 0)
	log, end := "comet:{"+channel+"}:log", "comet:{"+channel+"}:end"
	publishData(t, hub, channel, smallData)
	nodes[0].Do("DEL", log) // as if it had expired
	finish := cluster.BeginMove(slotOf(cluster, channel), nodes[2])
	publishData(t, hub, channel, smallData)
	finish()
	if ms := nodes[2].Do("PTTL", log).(int64); ms <= nodes[2].Do("PTTL", end).(int64) || ms <= options.TTL.Milliseconds() {
		t.Errorf("the log is kept for %d ms, which is not longer than what was known of the one before", ms)
	}
}

func publishData(t *testing.T, hub *pubsub.Hub, channel string, data []byte) pubsub.ID {
	t.Helper()
	r := hub.Publish(t.Context(), []pubsub.Draft{{Channel: channel, Data: data}})[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r.ID
}
