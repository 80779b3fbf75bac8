package house

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A rule forbids a word or a turn of phrase.
type rule struct {
	pattern string // regular expression; a space matches a line break too
	instead string
	except  func(before, after string) bool // before: up to the match; after: from its end
}

// rules are the words of a private language and of other languages' syntax, which
// comments, logs, errors and docs are free of. A clause is the subject of no sentence.
var rules = []rule{
	{pattern: `(?i)\btold\b`, instead: "reported, sent, returned", except: toldApart},
	{pattern: `(?i)\btell(s|ing)? of\b`, instead: "report"},
	{pattern: `(?i)\banew\b`, instead: "again"},
	{pattern: `(?i)\bmend(s|ed|ing)?\b`, instead: "fix"},
	{pattern: `(?i)\bso many\b`, instead: "N of them, that number of"},
	{pattern: `(?i)\b(is|are|was|were) none\b`, instead: "no, without, does not exist", except: thereIsNone},
	{pattern: `(?i)\bnobody('s)?\b`, instead: "no client, no user, nothing"},
	{pattern: `(?i)\bwho(so)?ever\b`, instead: "the client that, every user who"},
	{pattern: `(?i)\bwhom\b`, instead: "the client that, the users to which"},
	{pattern: `(?i)\bof which\b`, instead: "a sentence of its own, with"},
	{pattern: `(?i)\blet(s|ting)? in\b`, instead: "accept, admit, authenticate"},
	{pattern: `(?i)\b(thrown?|throws|throwing|threw) out\b`, instead: "revoke, disconnect"},
	{pattern: `(?i)\bgoodbyes?\b`, instead: "comet.bye, close, drain"},
	{pattern: `(?i)\b(for|to|by|from|with|than|beside) who\b`, instead: "for clients that"},
	{pattern: `(?i)\bbehind\b`, instead: "after", except: reallyBehind},
	{pattern: `(?i)\bfrom (\S+ ){1,3}?on([.,;:)]|$)`, instead: "after, since, starting with"},
	{pattern: `(?i)(\b\d+([.,]\d+)*|\b(` + counted + `|publishes|reads|times|writes)) an? (second|minute|hour|day)\b`, instead: "per second", except: secondOfTwo},
	{pattern: `(?i)(\b\d+([.,]\d+)*|\b(` + counted + `)) an? (` + each + `)([.,;:)]|$| (and|in|of|for|at|with|on|from|over)\b)`, instead: "per channel"},
	{pattern: sentence + `(Who|What|Whatever|Whose)\b`, instead: "the name of the thing first: Clients that …", except: question},
	{pattern: `; who\b`, instead: "; clients that", except: question},
}

const (
	// counted is a quantity that has a rate.
	counted = `allocations|arrivals|attempts|bytes|channels|chunks|clients|commands|connections|cores|` +
		`deliveries|entries|events|failures|guesses|lines|messages|MB|[KMG]iB|members|ms|µs|nodes|` +
		`one|requests|rows|scripts|streams|subscribers|tokens|users|warnings|%`
	// each is what a rate is about, beside time.
	each = `address|answer|batch|channel|client|connection|core|delivery|file|key|message|node|poll|primary|process|publish|request|` +
		`shard|stream|subscriber|subscription|tail|user|worker|writer`
	// sentence is the start of one: of the text, of a paragraph, of an item or cell, or after another.
	sentence = `(?:\A["'\x60]?|[.!?;]["')\x60*_]*\s+|\n\s*\n\s*|\n\s*[-*|]\s+|\|\s+)`
)

func toldApart(_, after string) bool { return strings.HasPrefix(after, " apart") }

// thereIsNone reports whether the match is of "if there is none" or "is none of them", which are English.
func thereIsNone(before, after string) bool {
	return regexp.MustCompile(`(?i)\bthere\s+$`).MatchString(before) || regexp.MustCompile(`^\s+of\b`).MatchString(after)
}

// behindThings are what something can stand behind; lag and isBehind are what precedes
// "behind" where it means late.
var (
	behindThings = regexp.MustCompile(`(?i)^\s+(\S+\s+){0,3}?(prox(y|ies)|(load[ -])?balancers?|nginx|haproxy|envoy|nat|service|ingress|router|firewall|server|` +
		`redirects?|mutex|interface|feature|flag|gateway|cdn)\b`)
	lag       = regexp.MustCompile(`(?i)\b(fall|falls|fallen|falling|fell|lag|lags|lagging|far|further|farther|left|leave|leaves|leaving|stay|stays)(\s+\w+)?\s+$`)
	isBehind  = regexp.MustCompile(`(?i)\b(is|are|was|were|be|been|runs?)\s+$`)
	goesAfter = regexp.MustCompile(`^([.,;:)]|$|\s+(or|and|but|on|by|when|in|then)\b)`)
)

// reallyBehind reports whether "behind" means neither "after" nor "because of".
func reallyBehind(before, after string) bool {
	return behindThings.MatchString(after) || lag.MatchString(before) || isBehind.MatchString(before) && goesAfter.MatchString(after)
}

// secondOfTwo reports whether "a second" is the one after the first.
func secondOfTwo(_, after string) bool {
	return regexp.MustCompile(`^\s+(one|time|\w+er|node|page|request|call|key|connection|read|message|stream|way)\b`).MatchString(after)
}

var sentenceEnd = regexp.MustCompile(`[.!?]["')\x60*_]*(\s|$)|\n\s*\n|\|`)

// question reports whether the sentence is a question, or one word.
func question(_, after string) bool {
	return strings.HasPrefix(sentenceEnd.FindString(after), "?") || strings.Trim(after, `"')`) == ""
}

// allowed are findings that stay, each with its reason. file is the path from the
// module's folder, and text a part of the lines that hold the words.
var allowed = []struct{ file, text, reason string }{
	{"cmd/comet/chatpictures_test.go", "Nobody will notice", "a message in the chat of the pictures"},
	{"internal/house/words_test.go", "", "it quotes what it forbids"},
	{"k8s/image/image.go", "nobody:", "the name of the user in /etc/passwd"},
}

type finding struct {
	file    string
	line    int
	words   string
	instead string
	where   string // the lines that hold the words
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %q (better: %s): %s", f.file, f.line, f.words, f.instead, f.where)
}

// TestWords keeps the English of comments, strings and docs plain: it fails on each
// of rules that is broken.
func TestWords(t *testing.T) {
	t.Parallel()
	used := make(map[int]bool)
	var list strings.Builder
	for _, f := range findings(t, used) {
		fmt.Fprintln(&list, f)
	}
	if list.Len() > 0 {
		t.Errorf("write it in other words, or add it to allowed with the reason:\n%s", &list)
	}
	for i, a := range allowed {
		if !used[i] {
			t.Errorf("%s has no %q any more: remove it from allowed", a.file, a.text)
		}
	}
}

// findings are those of all files that are not allowed, sorted; used gets the indexes of allowed that apply.
func findings(t *testing.T, used map[int]bool) []finding {
	t.Helper()
	compiled := make([]*regexp.Regexp, len(rules))
	for i, r := range rules {
		compiled[i] = regexp.MustCompile(strings.ReplaceAll(r.pattern, " ", `\s+`))
	}
	var all []finding
	for _, file := range files(t) {
		content, err := os.ReadFile(root + file)
		if err != nil {
			t.Fatal(err)
		}
		texts, err := textsOf(file, content)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			for i, r := range rules {
				for _, at := range compiled[i].FindAllStringIndex(text.words, -1) {
					if r.except != nil && r.except(text.words[:at[0]], text.words[at[1]:]) {
						continue
					}
					words := strings.Trim(strings.Join(strings.Fields(text.words[at[0]:at[1]]), " "), `.!?;:,)|"`+"` ")
					f := finding{file, text.line(at[1] - 1), words, r.instead, strings.Join(strings.Fields(text.around(at[0], at[1])), " ")}
					if !isAllowed(f, used) {
						all = append(all, f)
					}
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b finding) int {
		return cmp.Or(strings.Compare(a.file, b.file), cmp.Compare(a.line, b.line), strings.Compare(a.words, b.words))
	})
	return all
}

func isAllowed(f finding, used map[int]bool) bool {
	for i, a := range allowed {
		if a.file == f.file && strings.Contains(f.where, a.text) {
			used[i] = true
			return true
		}
	}
	return false
}
