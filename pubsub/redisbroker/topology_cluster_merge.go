package redisbroker

import (
	"cmp"
	"maps"
	"slices"
)

// layout is the merged views: which node has which slot, and where each node is.
type layout struct {
	owner     [slots]string       // ID of the primary; empty without one
	owners    map[string]bool     // the IDs in owner
	primaries map[string]bool     // IDs of all primaries, also those without slots
	replicas  map[string]int      // number of replicas, also disconnected ones, by ID
	endpoints map[string][]string // by ID, the best one first
	names     map[string]string   // ID by the address in a redirect
	addresses []string            // all endpoints
	answered  map[string]string   // ID by the address that was asked
}

// merge merges views. A slot belongs to the node whose claim has the highest epoch: a
// node that was replaced may still claim it, and others may not know yet. A node that
// does not claim a slot in its own view does not have it.
func merge(views []*view) *layout {
	views = slices.SortedFunc(slices.Values(views), func(a, b *view) int { return cmp.Compare(a.from, b.from) })
	l := &layout{
		owners: make(map[string]bool), primaries: make(map[string]bool), replicas: make(map[string]int),
		endpoints: make(map[string][]string), names: make(map[string]string), answered: make(map[string]string),
	}
	own := make(map[string]*[slots]bool) // what each node claims for itself
	for _, v := range views {
		mine := new([slots]bool)
		for _, r := range v.nodes[v.self].slots {
			for slot := r.first; slot <= r.last; slot++ {
				mine[slot] = true
			}
		}
		own[v.self] = mine
	}
	var epochs [slots]uint64
	for _, v := range views {
		for id, n := range v.nodes {
			mine := own[id]
			for _, r := range n.slots {
				for slot := r.first; slot <= r.last; slot++ {
					if mine != nil && !mine[slot] {
						continue
					}
					newest := l.owner[slot] == "" || n.epoch > epochs[slot] ||
						n.epoch == epochs[slot] && id < l.owner[slot] // an arbitrary choice, but always the same
					if newest {
						l.owner[slot], epochs[slot] = id, n.epoch
					}
				}
			}
		}
	}
	for _, id := range l.owner {
		if id != "" {
			l.owners[id] = true
		}
	}
	l.locate(views)
	return l
}

// locate sets where the nodes are. A node may have several addresses, and some may not be
// reachable. An address at which the node itself answered is better than one that most
// views have.
func (l *layout) locate(views []*view) {
	score := make(map[string]map[string]int) // by ID and endpoint
	for _, v := range views {
		l.answered[v.from] = v.self
	}
	followers := make(map[string]map[string]bool) // IDs of replicas by primary, from all views
	for _, v := range views {
		for id, n := range v.nodes {
			if n.primary {
				l.primaries[id] = true
			} else {
				if followers[n.follows] == nil {
					followers[n.follows] = make(map[string]bool)
				}
				followers[n.follows][id] = true
				l.replicas[n.follows] = len(followers[n.follows])
			}
			for _, name := range n.names {
				l.names[name] = id
			}
			if score[id] == nil {
				score[id] = make(map[string]int)
			}
			score[id][n.endpoint]++
			if l.answered[n.endpoint] == id {
				score[id][n.endpoint] += len(views)
			}
		}
	}
	for id, scores := range score {
		l.endpoints[id] = slices.SortedFunc(maps.Keys(scores), func(a, b string) int {
			return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
		})
		l.addresses = append(l.addresses, l.endpoints[id]...)
	}
}
