package redisbroker

import (
	"cmp"
	"maps"
	"slices"
)

// layout is what views together say: which node has which slot, and where each
// node is.
type layout struct {
	owner     [slots]string       // node ID; empty: none
	owners    map[string]bool     // the IDs in owner
	primaries map[string]bool     // IDs of all primaries, also of those without slots
	replicas  map[string]int      // of each primary, also those that are away, by ID
	endpoints map[string][]string // by ID, the best first
	names     map[string]string   // ID by what a redirect may say
	addresses []string            // every endpoint
	answered  map[string]string   // ID by the address that was asked
}

// merge reads views. A slot belongs to the claim with the highest epoch: one
// that was replaced does not know that, and some nodes may not yet either. A
// node that says itself that a slot is not its own does not have it.
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
						n.epoch == epochs[slot] && id < l.owner[slot] // any, but always the same
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

// locate fills in where the nodes are. Nodes may be called by several addresses,
// which not all can be reached; one at which the node itself answered is better
// than what most say.
func (l *layout) locate(views []*view) {
	score := make(map[string]map[string]int) // by ID and endpoint
	for _, v := range views {
		l.answered[v.from] = v.self
	}
	followers := make(map[string]map[string]bool) // by primary: what any view says
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
