package pubsub

import "slices"

// memory is what a follower took before it left it: the newest message of each of
// the last few generations. What a generation took is one line, so all of it up to
// that message was taken, or a gap told that it would not come.
type memory []ID

// maxMemory is how many generations are remembered.
const maxMemory = 8

// add notes that id was the newest one.
func (m *memory) add(id ID) {
	if id.Gen == 0 {
		return
	}
	for i, known := range *m {
		if known.Gen == id.Gen {
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

// forget removes what a generation took.
func (m *memory) forget(gen Generation) {
	*m = slices.DeleteFunc(*m, func(known ID) bool { return known.Gen == gen })
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
	return slices.ContainsFunc(m, func(known ID) bool { return known.Gen == id.Gen && id.Compare(known) <= 0 })
}

// knows reports whether some of what a generation took was: what it has not is new.
func (m memory) knows(gen Generation) bool {
	return slices.ContainsFunc(m, func(known ID) bool { return known.Gen == gen })
}
