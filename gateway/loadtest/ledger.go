package loadtest

// ledger is what came of each message at one subscriber.
type ledger struct {
	seen   []uint64 // a bit for each message
	newest []int32  // by publisher: the highest index that came, -1 before the first
	order  uint64   // a hash of the order in which they came
	got    int      // distinct messages

	repeated   int // came again
	disordered int // came after a later one of the same publisher
	unknown    int // never published
}

func newLedger(messages, publishers int) ledger {
	l := ledger{seen: make([]uint64, (messages+63)/64), newest: make([]int32, publishers)}
	for i := range l.newest {
		l.newest[i] = -1
	}
	return l
}

// enter records a delivery and reports whether it is the first of its message.
// Publishers take the messages by turns, so an index names its publisher.
func (l *ledger) enter(index, messages int) bool {
	if index >= messages {
		l.unknown++
		return false
	}
	word, bit := &l.seen[index/64], uint64(1)<<(index%64)
	if *word&bit != 0 {
		l.repeated++
		return false
	}
	*word |= bit
	l.got++
	l.order = (l.order ^ uint64(index+1)) * 0x100000001b3 // FNV-1a, an index a step
	newest := &l.newest[index%len(l.newest)]
	if int32(index) < *newest {
		l.disordered++
	}
	*newest = max(*newest, int32(index))
	return true
}
