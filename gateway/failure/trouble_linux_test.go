package failure

import (
	"fmt"
	"time"

	"comet/pubsub/redistest"
)

// trouble is a fault of the cluster. do causes it and returns when it is over,
// maybe before the nodes have recovered; what describes it for the log.
type trouble struct {
	name   string
	weight int
	do     func(r *round) (what string)
}

// during waits for d while Redis has a fault. Half the time it also causes a fault
// of the nodes.
func (r *round) during(d time.Duration) {
	if r.random.IntN(2) == 0 {
		pause(r.t.Context(), d)
		return
	}
	pause(r.t.Context(), d/2)
	r.inject(pick(r, troublesOfNodes))
	pause(r.t.Context(), d/2)
}

// some returns a random duration from the seed.
func (r *round) some(from, to time.Duration) time.Duration {
	return (from + upTo(r.random, to-from)).Round(time.Millisecond)
}

func (r *round) victim() *redistest.Server {
	return r.redis.of(channels[r.random.IntN(len(channels))])
}

var troublesOfNodes = []trouble{
	{"kill a node", 3, func(r *round) string {
		n := r.nodes[r.random.IntN(len(r.nodes))]
		n.kill()
		down := r.some(0, time.Second)
		pause(r.t.Context(), down)
		n.start()
		return fmt.Sprintf("%s, down %v", n.name, down)
	}},
	{"freeze a node", 3, func(r *round) string {
		n := r.nodes[r.random.IntN(len(r.nodes))]
		n.freeze()
		frozen := r.some(100*time.Millisecond, 3*time.Second)
		pause(r.t.Context(), frozen)
		n.thaw()
		return fmt.Sprintf("%s, %v", n.name, frozen)
	}},
	{"a node leaves and comes back", 1, func(r *round) string {
		n := r.nodes[r.random.IntN(len(r.nodes))]
		n.leave()
		n.start()
		return n.name
	}},
}

// troublesOfAll are the faults of every kind of Redis and of the nodes.
var troublesOfAll = []trouble{
	{"a node's", 4, func(r *round) string {
		r.inject(pick(r, troublesOfNodes))
		return ""
	}},
	{"pub/sub connections killed", 3, func(r *round) string {
		n := 0
		for _, server := range r.redis.servers {
			n += server.KillPubSub()
		}
		return fmt.Sprintf("%d", n)
	}},
	{"SCRIPT FLUSH", 1, func(r *round) string {
		for _, p := range r.redis.primaries() {
			p.Do("SCRIPT", "FLUSH")
		}
		return ""
	}},
	{"FLUSHALL", 1, func(r *round) string {
		primary := r.victim()
		n := 0
		for channel, log := range r.redis.wipe(primary) {
			r.lives[channel] = append(r.lives[channel], log)
			n += len(log)
		}
		for _, replica := range r.redis.replicas(primary) {
			primary.AwaitReplica(replica) // or a failover would restore the wiped messages
		}
		return fmt.Sprintf("%s, %d messages", primary.Addr(), n)
	}},
}

// troublesOfServers are the faults of a primary.
var troublesOfServers = []trouble{
	{"a primary restarts", 2, restart((*redistest.Server).Stop)},
	{"a primary crashes and restarts", 2, restart((*redistest.Server).Kill)},
	{"a primary freezes", 3, freeze(time.Second, 3*time.Second)},
	{"a primary freezes for a moment", 1, freeze(50*time.Millisecond, 400*time.Millisecond)},
}

func restart(end func(*redistest.Server)) func(*round) string {
	return func(r *round) string {
		p := r.victim()
		end(p)
		down := r.some(0, time.Second)
		r.during(down)
		p.Restart()
		return fmt.Sprintf("%s, down %v", p.Addr(), down)
	}
}

func freeze(least, most time.Duration) func(*round) string {
	return func(r *round) string {
		p := r.victim()
		p.Freeze()
		frozen := r.some(least, most)
		r.during(frozen)
		p.Thaw()
		return fmt.Sprintf("%s, %v", p.Addr(), frozen)
	}
}

// troublesOfReplicas are failovers: failOver requests one, and awaitOther waits
// for the one after a primary's end.
func troublesOfReplicas(failOver, awaitOther func(primary *redistest.Server)) []trouble {
	return []trouble{
		{"failover, asked for", 2, func(r *round) string {
			p := r.victim()
			failOver(p)
			return "of " + p.Addr()
		}},
		{"failover, up to date", 2, func(r *round) string {
			p := r.victim()
			p.Kill()
			r.during(0)
			awaitOther(p)
			p.Restart()
			return "of " + p.Addr()
		}},
		{"failover that loses", 3, func(r *round) string {
			p := r.victim()
			lost := r.some(50*time.Millisecond, 400*time.Millisecond)
			p.KillLosing(func() { pause(r.t.Context(), lost) }, r.redis.replicas(p)...)
			r.during(0)
			awaitOther(p)
			p.Restart()
			return fmt.Sprintf("of %s, what it took for %v", p.Addr(), lost)
		}},
	}
}

// troublesOfWays are the faults of the network between a node and Redis.
func troublesOfWays(ways []*redistest.Proxy) []trouble {
	return []trouble{
		{"a node is cut off from Redis", 3, func(r *round) string {
			i := r.random.IntN(len(ways))
			ways[i].Cut()
			cut := r.some(100*time.Millisecond, 4*time.Second)
			r.during(cut)
			ways[i].Heal()
			return fmt.Sprintf("%s, %v", r.nodes[i].name, cut)
		}},
		{"a node's connections are reset", 2, func(r *round) string {
			i := r.random.IntN(len(ways))
			return fmt.Sprintf("%s, %d", r.nodes[i].name, ways[i].Reset())
		}},
		{"a node's Redis is slow", 1, func(r *round) string {
			i := r.random.IntN(len(ways))
			slow := r.some(10*time.Millisecond, 150*time.Millisecond)
			ways[i].Delay(slow)
			r.during(2 * time.Second)
			ways[i].Delay(0)
			return fmt.Sprintf("%s, %v each way", r.nodes[i].name, slow)
		}},
	}
}

// troublesOfSlots are the moves of slots while a Redis Cluster is resharded.
func troublesOfSlots(c *redistest.Cluster) []trouble {
	choose := func(r *round) (channel string, slot int, to *redistest.Server) {
		channel = channels[r.random.IntN(len(channels))]
		from := r.redis.of(channel)
		slot = int(from.Do("CLUSTER", "KEYSLOT", logKey(channel)).(int64))
		for _, p := range r.redis.primaries() {
			if p != from {
				to = p
			}
		}
		return channel, slot, to
	}
	return []trouble{
		{"a slot moves", 3, func(r *round) string {
			channel, slot, to := choose(r)
			if to == nil {
				return "nowhere"
			}
			c.MoveSlot(slot, to)
			return fmt.Sprintf("%s to %s", channel, to.Addr())
		}},
		{"a slot moves slowly", 3, func(r *round) string {
			channel, slot, to := choose(r)
			if to == nil {
				return "nowhere"
			}
			end := c.BeginMove(slot, to)
			r.during(r.some(0, time.Second))
			end()
			return fmt.Sprintf("%s to %s", channel, to.Addr())
		}},
	}
}

// pick draws a trouble by weight.
func pick(r *round, all []trouble) trouble {
	total := 0
	for _, t := range all {
		total += t.weight
	}
	n := r.random.IntN(total)
	for _, t := range all {
		if n -= t.weight; n < 0 {
			return t
		}
	}
	panic("unreachable")
}
