package bench

// timers is a heap of the times at which subscribers are due. An entry may be
// outdated: subscriber.timer counts.
type timers struct{ heap []alarm }

type alarm struct {
	at    instant
	index int32
}

// push adds an alarm.
func (t *timers) push(a alarm) {
	t.heap = append(t.heap, a)
	for i := len(t.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if t.heap[parent].at <= t.heap[i].at {
			return
		}
		t.heap[parent], t.heap[i] = t.heap[i], t.heap[parent]
		i = parent
	}
}

// first returns the time of the next alarm; ok is false without one.
func (t *timers) first() (at instant, ok bool) {
	if len(t.heap) == 0 {
		return 0, false
	}
	return t.heap[0].at, true
}

// pop removes and returns the next alarm. The heap must not be empty.
func (t *timers) pop() alarm {
	first := t.heap[0]
	last := len(t.heap) - 1
	t.heap[0] = t.heap[last]
	t.heap = t.heap[:last]
	for i := 0; ; {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < last && t.heap[child].at < t.heap[least].at {
				least = child
			}
		}
		if least == i {
			return first
		}
		t.heap[i], t.heap[least] = t.heap[least], t.heap[i]
		i = least
	}
}
