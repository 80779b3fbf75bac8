package failure

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

// backend is the Redis of a round. Its methods and functions are for the test's
// own goroutine. All but awaitHealthy require a healthy Redis.
type backend struct {
	t        testing.TB
	environ  func(node int) []string // the settings with which a node connects to it
	quiet    bool                    // see truth
	servers  []*redistest.Server     // that hold data
	troubles []trouble               // its possible faults

	// of returns the primary of a channel.
	of func(channel string) *redistest.Server
	// replicas returns the replicas of a primary.
	replicas func(primary *redistest.Server) []*redistest.Server
	// awaitHealthy ends the faults and waits until all of it is healthy.
	awaitHealthy func()
}

// redisTimeout is redis.timeout of the nodes.
const redisTimeout = time.Second

// backends are the kinds of Redis.
var backends = map[string]func(testing.TB) *backend{
	"standalone": startStandalone, "sentinel": startSentinel, "cluster": startCluster,
}

// startStandalone starts one server, with a proxy for each node.
func startStandalone(t testing.TB) *backend {
	server := redistest.Start(t, redistest.Persist)
	ways := make([]*redistest.Proxy, nodes)
	for i := range ways {
		ways[i] = redistest.StartProxy(t, server.Addr())
	}
	return &backend{
		t:        t,
		environ:  func(node int) []string { return []string{"COMET_REDIS_ADDRESSES=" + ways[node].Addr()} },
		servers:  []*redistest.Server{server},
		of:       func(string) *redistest.Server { return server },
		replicas: func(*redistest.Server) []*redistest.Server { return nil },
		awaitHealthy: func() {
			for _, w := range ways {
				w.Heal()
				w.Delay(0)
			}
		},
		troubles: slices.Concat(troublesOfAll, troublesOfServers, troublesOfWays(ways)),
	}
}

// startSentinel starts a primary with two replicas under three Sentinels.
func startSentinel(t testing.TB) *backend {
	s := redistest.StartSentinel(t, redistest.Persist, redistest.Replicas(2))
	b := &backend{
		t: t,
		environ: func(int) []string {
			return []string{"COMET_REDIS_ADDRESSES=" + strings.Join(s.Addresses(), ","), "COMET_REDIS_MASTER=" + s.Master()}
		},
		quiet:   true,
		servers: s.Servers(),
		of:      func(string) *redistest.Server { return s.Primary() },
	}
	b.awaitHealthy = func() { b.awaitReplicas(s.Primary) }
	b.replicas = b.others
	failOver := func(primary *redistest.Server) { b.failOver(s, primary) }
	awaitOther := func(primary *redistest.Server) { s.AwaitPrimaryOther(primary) }
	b.troubles = slices.Concat(troublesOfAll, troublesOfServers, troublesOfReplicas(failOver, awaitOther))
	return b
}

// startCluster starts three primaries with a replica each.
func startCluster(t testing.TB) *backend {
	c := redistest.StartCluster(t, 3, 1, redistest.Persist)
	nodes := c.Nodes()
	b := &backend{
		t: t,
		environ: func(int) []string {
			return []string{"COMET_REDIS_CLUSTER=true", "COMET_REDIS_ADDRESSES=" + strings.Join(c.Addresses(), ",")}
		},
		quiet:        true,
		servers:      nodes,
		of:           func(channel string) *redistest.Server { return c.NodeFor(logKey(channel)) },
		awaitHealthy: c.AwaitOK,
	}
	b.replicas = func(primary *redistest.Server) []*redistest.Server {
		shard := slices.Index(nodes, primary) / 2 * 2
		return slices.DeleteFunc(slices.Clone(nodes[shard:shard+2]), func(s *redistest.Server) bool { return s == primary })
	}
	failOver := func(primary *redistest.Server) { c.Failover(primary) }
	awaitOther := func(primary *redistest.Server) { c.AwaitFailover(primary) }
	b.troubles = slices.Concat(troublesOfAll, troublesOfServers, troublesOfReplicas(failOver, awaitOther), troublesOfSlots(c))
	return b
}

// failOver asks the Sentinels for another primary until there is one: they give
// a failover up when, as on a loaded machine, it takes them too long.
func (b *backend) failOver(s *redistest.Sentinel, primary *redistest.Server) {
	b.t.Helper()
	client := s.Sentinels()[0].Client()
	for late := time.Now().Add(patience); time.Now().Before(late); pause(b.t.Context(), time.Second) {
		if s.Primary() != primary {
			return
		}
		_ = client.Do(b.t.Context(), "SENTINEL", "FAILOVER", s.Master()).Err() // or one is under way
	}
	b.t.Fatalf("the Sentinels stay with %s", primary.Addr())
}

// awaitReplicas returns when all other servers replicate the primary. It calls
// primary repeatedly, because a failover that the test did not cause may be in
// progress.
func (b *backend) awaitReplicas(primary func() *redistest.Server) {
	b.t.Helper()
	for late := time.Now().Add(patience); time.Now().Before(late); pause(b.t.Context(), 50*time.Millisecond) {
		p := primary()
		_, port, _ := net.SplitHostPort(p.Addr())
		if !slices.ContainsFunc(b.others(p), func(s *redistest.Server) bool { return !follows(s, port) }) {
			return
		}
	}
	b.t.Fatal("the replicas do not follow the primary")
}

// follows reports whether the server is a replica of the one at the port, and
// has caught up once.
func follows(s *redistest.Server, port string) bool {
	info, _ := s.Do("INFO", "replication").(string)
	for _, line := range []string{"role:slave", "master_port:" + port, "master_link_status:up"} {
		if !strings.Contains(info, "\n"+line+"\r") {
			return false
		}
	}
	return true
}

// others are all servers but one.
func (b *backend) others(than *redistest.Server) []*redistest.Server {
	return slices.DeleteFunc(slices.Clone(b.servers), func(s *redistest.Server) bool { return s == than })
}

// primaries are those that have the channels, each once.
func (b *backend) primaries() []*redistest.Server {
	var all []*redistest.Server
	for _, channel := range channels {
		if p := b.of(channel); !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// logKey is where the log of a channel is, or an index log.
func logKey(channel string) string {
	if pubsub.IsIndexLog(channel) {
		return "comet:" + channel + ":index:log"
	}
	return "comet:{" + channel + "}:log"
}

// wipeScript empties a primary, and returns the entries of the logs named by
// ARGV at that moment. They are no KEYS, for they are in several slots.
const wipeScript = `#!lua flags=allow-cross-slot-keys
local logs = {}
for i, key in ipairs(ARGV) do logs[i] = redis.call('XRANGE', key, '-', '+') end
redis.call('FLUSHALL')
return logs`

// wipe empties a primary of what it has, the logs of all, and returns these by
// channel.
func (b *backend) wipe(primary *redistest.Server) map[string][]entry {
	b.t.Helper()
	args := []any{"EVAL", wipeScript, 0}
	var all []string
	for _, channel := range channels {
		if b.of(channel) == primary {
			all = append(all, channel)
			args = append(args, logKey(channel))
		}
	}
	logs, _ := primary.Do(args...).([]any)
	had := make(map[string][]entry)
	for i, channel := range all {
		had[channel] = b.entries(logs[i])
		overtake(had[channel])
	}
	return had
}

// overtake marks what a wipe may have overtaken: what was taken since the oldest
// moment at which a link may have broken that has not been noticed yet.
func overtake(log []entry) {
	const unnoticed = 2*time.Second + 2*redisTimeout // from probe to probe, and its answers
	since := time.Now().Add(-unnoticed)
	for i := range log {
		log[i].overtaken = log[i].id.Time().After(since)
	}
}

// log is what the log of a channel has.
func (b *backend) log(channel string) []entry {
	b.t.Helper()
	return b.entries(b.of(channel).Do("XRANGE", logKey(channel), "-", "+"))
}

// entries reads the reply to XRANGE: [[id, [field, value, …]], …].
func (b *backend) entries(reply any) []entry {
	b.t.Helper()
	rows, _ := reply.([]any)
	all := make([]entry, len(rows))
	for i, row := range rows {
		pair, _ := row.([]any)
		if len(pair) != 2 {
			b.t.Fatalf("XRANGE: entry %v", row)
		}
		fields, _ := pair[1].([]any)
		values := make(map[any]string)
		for n := 0; n+1 < len(fields); n += 2 {
			values[fields[n]], _ = fields[n+1].(string)
		}
		if relay, ok := values["relay"]; ok { // of an index log: <channel> LF <id> SP <prev> SP <type> LF <data>
			_, relay, _ = strings.Cut(relay, "\n")
			line, data, _ := strings.Cut(relay, "\n")
			values["prev"], values["data"] = strings.Fields(line)[1], data
		}
		all[i] = entry{id: b.id(pair[0]), prev: b.id(values["prev"]), key: keyOf(values["data"])}
	}
	return all
}

func (b *backend) id(text any) pubsub.ID {
	b.t.Helper()
	id, err := pubsub.ParseID(fmt.Sprint(text))
	if err != nil {
		b.t.Fatalf("ID %v: %v", text, err)
	}
	return id
}

// generation is the one that messages have that a primary takes now.
func (b *backend) generation(primary *redistest.Server) pubsub.Epoch {
	b.t.Helper()
	text, _ := primary.Do("INFO", "replication").(string)
	_, text, found := strings.Cut(text, "master_replid:")
	gen, err := strconv.ParseUint(text[:min(5, len(text))], 16, 32)
	if !found || err != nil {
		b.t.Fatalf("INFO replication has no master_replid: %v", err)
	}
	return max(1, pubsub.Epoch(gen))
}
