package pubsub

import "slices"

// memory is what a logReader took before the log went back or changed its epoch:
// the newest message of each of the last few epochs. The messages of one epoch are
// one sequence, so all of them up to that one were taken, or a gap covered them.
type memory []ID

// maxMemory is how many epochs are remembered.
const maxMemory = 8

// add notes that id was the newest one.
func (m *memory) add(id ID) {
	if id.Epoch == 0 {
		return
	}
	for i, known := range *m {
		if known.Epoch == id.Epoch {
			if known.Compare(id) < 0 {
				(*m)[i] = id
			}
			return
		}
	}
	if *m = append(*m, id); len(*m) > maxMemory {
		*m = (*m)[1:]
	}
}

// forget removes what an epoch took.
func (m *memory) forget(epoch Epoch) {
	*m = slices.DeleteFunc(*m, func(known ID) bool { return known.Epoch == epoch })
}

// without is items in which those that were taken are silent.
func (m memory) without(items []Item) []Item {
	if len(m) == 0 {
		return items
	}
	items = slices.Clone(items)
	for i, it := range items {
		if it.Message != nil && m.has(it.Message.ID) {
			items[i] = Item{After: it.After}
		}
	}
	return items
}

// has reports whether the message id was taken.
func (m memory) has(id ID) bool {
	return slices.ContainsFunc(m, func(known ID) bool { return known.Epoch == id.Epoch && id.Compare(known) <= 0 })
}

// knows reports whether some of what an epoch took was: what it has not is new.
func (m memory) knows(epoch Epoch) bool {
	return slices.ContainsFunc(m, func(known ID) bool { return known.Epoch == epoch })
}
