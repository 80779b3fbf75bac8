package chanpattern

// coverBudget bounds the search of Cover, in parts of patterns that are looked at: a few
// milliseconds. Real permissions take less than a thousandth.
const coverBudget = 2_000_000

// Cover reports whether every channel that p matches is matched by one of ps: not
// necessarily the same one for all. It is never true by mistake. It may be false by
// mistake where the answer takes too long, with tens of wildcards in a pattern.
func (ps Patterns) Cover(p Pattern) bool {
	if p.segments == nil {
		return false
	}
	for _, q := range ps {
		if q.plainlyCovers(p) {
			return true
		}
	}
	covers := make([]automaton, 0, len(ps))
	for _, q := range ps {
		if q.segments != nil {
			covers = append(covers, q.automaton())
		}
	}
	s := search{inner: p.automaton(), covers: covers, seen: make(map[string]bool), budget: coverBudget}
	s.letters = s.alphabet()
	first := pair{inner: s.inner.start(), covers: make([]stateSet, len(covers))}
	for i := range covers {
		first.covers[i] = covers[i].start()
	}
	return s.run(first)
}

// plainlyCovers reports whether q covers p segment by segment, as it nearly always does
// if it does. q reads p as if it was a channel: no literal of q is a wildcard of p.
func (q Pattern) plainlyCovers(p Pattern) bool {
	return matchSegmentsBy(q.segments, p.segments, func(covers, segment string) bool {
		return segment != "**" && matchText(covers, segment)
	})
}

// Overlap reports whether there is a channel that both patterns match. It is never false by
// mistake. It may be true by mistake where the answer takes too long, or for the empty name.
func (p Pattern) Overlap(q Pattern) bool {
	if p.segments == nil || q.segments == nil {
		return false
	}
	a, b := p.automaton(), q.automaton()
	s := search{inner: a, covers: []automaton{b}, seen: make(map[string]bool), budget: coverBudget}
	s.letters = s.alphabet()
	return s.meet(pair{inner: a.start(), covers: []stateSet{b.start()}})
}

// meet reports whether the inner pattern and the only other one match the same bytes.
func (s *search) meet(first pair) bool {
	todo := []pair{first}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if s.isSeen(at) {
			continue
		}
		for _, c := range s.letters {
			if s.budget -= len(s.inner) + len(s.covers[0]); s.budget < 0 {
				return true
			}
			next := pair{inner: s.inner.read(at.inner, c), covers: []stateSet{s.covers[0].read(at.covers[0], c)}}
			switch {
			case next.inner.isDead() || next.covers[0].isDead():
				continue
			case c == '/' && s.inner.accepts(next.inner) && s.covers[0].accepts(next.covers[0]):
				return true
			}
			todo = append(todo, next)
		}
	}
	return false
}

// automaton reads a channel with a slash after each segment, byte by byte. State i is
// before part i; state len(parts) is after all of them.
type automaton []part

// part is one element of a pattern.
type part struct {
	kind partKind
	char byte
}

type partKind uint8

const (
	literal  partKind = iota // char
	text                     // `*`: any bytes but slashes
	anything                 // `**`: any number of segments with their slashes
	within                   // the rest of one of the segments of an anything
)

// automaton makes the automaton of p. An anything is followed by its within.
func (p Pattern) automaton() (a automaton) {
	for _, segment := range p.segments {
		if segment == "**" {
			a = append(a, part{kind: anything}, part{kind: within})
			continue
		}
		for i := range len(segment) {
			if segment[i] == '*' {
				a = append(a, part{kind: text})
			} else {
				a = append(a, part{kind: literal, char: segment[i]})
			}
		}
		a = append(a, part{kind: literal, char: '/'})
	}
	return a
}

// stateSet is the states in which an automaton can be: a bit for each.
type stateSet []byte

func (s stateSet) has(i int) bool { return s[i/8]&(1<<(i%8)) != 0 }

func (a automaton) start() stateSet {
	s := make(stateSet, len(a)/8+1)
	a.enter(s, 0)
	return s
}

// enter adds state i, and those that follow without reading anything.
func (a automaton) enter(s stateSet, i int) {
	for !s.has(i) {
		s[i/8] |= 1 << (i % 8)
		if i == len(a) {
			return
		}
		switch a[i].kind {
		case text:
			i++
		case anything:
			i += 2
		}
	}
}

// read returns the states after c.
func (a automaton) read(s stateSet, c byte) stateSet {
	next := make(stateSet, len(s))
	for i, p := range a {
		if !s.has(i) {
			continue
		}
		switch {
		case p.kind == literal && p.char == c:
			a.enter(next, i+1)
		case p.kind == text && c != '/':
			a.enter(next, i)
		case p.kind == anything && c != '/':
			a.enter(next, i+1)
		case p.kind == anything:
			a.enter(next, i)
		case p.kind == within && c != '/':
			a.enter(next, i)
		case p.kind == within:
			a.enter(next, i-1)
		}
	}
	return next
}

// accepts reports whether the pattern matches what was read.
func (a automaton) accepts(s stateSet) bool { return s.has(len(a)) }

// isDead reports whether nothing that follows can match.
func (s stateSet) isDead() bool {
	for _, b := range s {
		if b != 0 {
			return false
		}
	}
	return true
}

// pair is the states of the pattern that is to be covered and of those that cover it,
// after the same bytes.
type pair struct {
	inner  stateSet
	covers []stateSet
}

// search looks for bytes that the inner pattern matches and no other one does.
type search struct {
	inner   automaton
	covers  []automaton
	letters []byte
	seen    map[string]bool
	budget  int
}

// alphabet is the bytes that patterns tell apart, and one that stands for all others.
func (s *search) alphabet() (letters []byte) {
	named := map[byte]bool{'/': true}
	for _, a := range append([]automaton{s.inner}, s.covers...) {
		for _, p := range a {
			if p.kind == literal {
				named[p.char] = true
			}
		}
	}
	other := false
	for c := range 256 {
		switch {
		case named[byte(c)]:
			letters = append(letters, byte(c))
		case !other:
			other = true
			letters = append(letters, byte(c))
		}
	}
	return letters
}

// run reports whether there are no such bytes.
func (s *search) run(first pair) bool {
	todo := []pair{first}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if s.isSeen(at) {
			continue
		}
		for _, c := range s.letters {
			if s.budget -= len(s.inner); s.budget < 0 {
				return false
			}
			next := pair{inner: s.inner.read(at.inner, c), covers: make([]stateSet, len(s.covers))}
			if next.inner.isDead() {
				continue
			}
			matched := false
			for i, a := range s.covers {
				s.budget -= len(a)
				next.covers[i] = a.read(at.covers[i], c)
				matched = matched || a.accepts(next.covers[i])
			}
			// Only what ends in a slash is a channel.
			if c == '/' && s.inner.accepts(next.inner) && !matched {
				return false
			}
			todo = append(todo, next)
		}
	}
	return true
}

// isSeen notes a pair, and reports whether it was noted before.
func (s *search) isSeen(p pair) bool {
	key := string(p.inner)
	for _, c := range p.covers {
		key += string(c)
	}
	if s.seen[key] {
		return true
	}
	s.seen[key] = true
	return false
}
