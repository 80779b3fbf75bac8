package chanpattern

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestCover(t *testing.T) {
	for _, test := range []struct {
		covers  string // separated by spaces
		pattern string
		want    bool
	}{
		{"orders/**", "orders/**", true},
		{"orders/**", "orders/*", true},
		{"orders/**", "orders/vip/**", true},
		{"orders/**", "orders/vip/1", true},
		{"orders/*", "orders/**", false},
		{"orders/**", "**", false},
		{"**", "**", true},
		{"**", "a/*/b", true},
		{"*", "**", false},
		{"* */** ", "**", true},
		{"** a", "a", true},
		{"a b", "*", false},
		{"orders/a* orders/**", "orders/*", true},
		{"orders/a*", "orders/ab*", true},
		{"orders/a*", "orders/*", false},
		{"orders orders/*/**", "orders/**", true},
		{"orders/*/**", "orders/**", false},
		{"*a* b*", "*a", true},
		{"**/log", "a/**/log", true},
		{"a/**/log", "**/log", false},
		{"a/**/b/**/c", "a/**/b/c", true},
		{"größe/**", "größe/*", true},
		{"", "a", false},
	} {
		ps, err := ParseAll(strings.Fields(test.covers))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(test.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := ps.Cover(p); got != test.want {
			t.Errorf("%q cover %q: %v, want %v", test.covers, test.pattern, got, test.want)
		}
	}
	if (Patterns{{}}).Cover(Pattern{}) {
		t.Error("the zero pattern is covered")
	}
}

// Cover says what every channel of a small world says.
func TestCoverRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	channels := append(small("ab/", 7), "") // Cover takes the empty text for a channel, too
	elements := []string{"a", "b", "*", "a*", "*b", "**", ""}
	pattern := func(most int) Pattern {
		for {
			segments := make([]string, 1+random.IntN(most))
			for i := range segments {
				segments[i] = elements[random.IntN(len(elements))]
			}
			if p, err := Parse(strings.Join(segments, "/")); err == nil {
				return p
			}
		}
	}
	covered := 0
	for range 500 {
		p, ps := pattern(2), Patterns{pattern(3), pattern(3)}
		witness := slices.IndexFunc(channels, func(channel string) bool { return p.Match(channel) && !ps.Match(channel) })
		got := ps.Cover(p)
		if got != (witness < 0) {
			t.Fatalf("%q cover %q: %v; the channel at %d of the small world is not covered", ps.Strings(), p, got, witness)
		}
		if got {
			covered++
		}
		both := p.Match("") && ps[0].Match("") // which is no channel: a mistake that does no harm
		for _, channel := range channels {
			both = both || p.Match(channel) && ps[0].Match(channel)
		}
		if got := p.Overlap(ps[0]); got != both {
			t.Fatalf("%q and %q overlap: %v, want %v", p, ps[0], got, both)
		}
	}
	if covered < 25 {
		t.Errorf("only %d pairs were covered", covered)
	}
}

// small is all texts of 1 to n letters.
func small(letters string, n int) (all []string) {
	last := []string{""}
	for range n {
		var next []string
		for _, text := range last {
			for _, c := range letters {
				next = append(next, text+string(c))
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

// Many wildcards take a bounded time.
func TestCoverBounded(t *testing.T) {
	var ps Patterns
	for i := range 100 {
		p, err := Parse(fmt.Sprintf("a%d/**/*%d*/**", i, i) + strings.Repeat("/*a*b*/**", 20))
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	p, err := Parse(strings.Repeat("*a*b*/**/", 25) + "z")
	if err != nil {
		t.Fatal(err)
	}
	if ps.Cover(p) {
		t.Error("covered")
	}
}

func BenchmarkCover(b *testing.B) {
	ps, _ := ParseAll([]string{"news", "chat/*", "orders/**"})
	p, _ := Parse("orders/vip/*")
	b.ReportAllocs()
	for b.Loop() {
		if !ps.Cover(p) {
			b.Fatal("not covered")
		}
	}
}
