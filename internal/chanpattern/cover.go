package chanpattern

// coverBudget bounds the search of Cover and Overlap, in parts of patterns that are looked at: a few
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
	return !find(p.automaton(), covers, false)
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
	return find(p.automaton(), []automaton{q.automaton()}, true)
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

// search looks for bytes that the inner pattern matches, and others match or do not.
type search struct {
	inner   automaton
	covers  []automaton
	letters []byte
	seen    map[string]bool
	budget  int
}

// find reports whether there is a channel that inner matches and that one of covers
// matches or, without matched, none. It is true too where the answer takes too long.
func find(inner automaton, covers []automaton, matched bool) bool {
	s := search{inner: inner, covers: covers, seen: make(map[string]bool), budget: coverBudget}
	s.letters = s.alphabet()
	first := pair{inner: inner.start(), covers: make([]stateSet, len(covers))}
	for i := range covers {
		first.covers[i] = covers[i].start()
	}
	return s.run(first, matched)
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

// run is find, starting with first.
func (s *search) run(first pair, matched bool) bool {
	todo := []pair{first}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if s.isSeen(at) {
			continue
		}
		for _, c := range s.letters {
			if s.budget -= len(s.inner); s.budget < 0 {
				return true
			}
			next := pair{inner: s.inner.read(at.inner, c), covers: make([]stateSet, len(s.covers))}
			if next.inner.isDead() {
				continue
			}
			covered, alive := false, false
			for i, a := range s.covers {
				s.budget -= len(a)
				next.covers[i] = a.read(at.covers[i], c)
				covered = covered || a.accepts(next.covers[i])
				alive = alive || !next.covers[i].isDead()
			}
			// Only what ends in a slash is a channel.
			if c == '/' && s.inner.accepts(next.inner) && covered == matched {
				return true
			}
			if alive || !matched {
				todo = append(todo, next)
			}
		}
	}
	return false
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
