package conn

import (
	"strings"
	"testing"
)

// repeatAll admits every repetition.
type repeatAll struct{ cursors []string }

func (r *repeatAll) Repeat(cursor []byte, _ *FastResult) bool {
	r.cursors = append(r.cursors, string(cursor))
	return true
}

func TestRepeatedRequest(t *testing.T) {
	const request = "GET /v1/poll?channel=c&cursor=1764547200000-0&wait=25s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer a.b.c\r\n\r\n"
	var buffer scratch
	r := newRepeated(&FastResult{Repeater: &repeatAll{}}, []byte(request), &buffer)
	if r == nil {
		t.Fatal("it is not recognized again")
	}
	for _, test := range []struct{ old, new, cursor string }{
		{"", "", "1764547200000-0"},
		{"1764547200000-0", "1764547200001-16777215~7", "1764547200001-16777215~7"},
		{"1764547200000-0", "Zm9v_-", "Zm9v_-"},
		{"1764547200000-0", "", ""},
		{"1764547200000-0", "1-0&skip_self", ""},
		{"1764547200000-0", "1-0%26", ""},
		{"1764547200000-0", "1-0+", ""},
		{"1764547200000-0", "1-0#", ""},
		{"1764547200000-0", "1-0 HTTP/1.1\r\n\r\nGET /", ""},
		{"channel=c", "channel=d", ""},
		{"a.b.c", "a.b.d", ""},
		{"25s", "26s", ""},
		{"\r\n\r\n", "\r\n\r", ""},
		{"\r\n\r\n", "\r\n\r\nG", ""},
		{"GET", "gET", ""},
	} {
		again := strings.Replace(request, test.old, test.new, 1)
		cursor, ok := r.match([]byte(again), &buffer)
		if ok != (test.cursor != "") || ok && string(cursor) != test.cursor {
			t.Errorf("%q for %q: cursor %q, %v", test.new, test.old, cursor, ok)
		}
	}
	if n := testing.AllocsPerRun(100, func() { r.match([]byte(request), &buffer) }); n > 0 && !underRace {
		t.Errorf("%v allocations", n)
	}
}

func TestFindCursor(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/p?cursor=1-2":                     "1-2",
		"/p?a=b&cursor=1-2&c=d":             "1-2",
		"/p?a=?cursor=1-2":                  "",
		"/p?xcursor=1-2":                    "",
		"/p?cursor":                         "",
		"/p?cursor=":                        "",
		"/p?cursor=%31":                     "",
		"/p":                                "",
		"/p?a=b":                            "",
		"/p?":                               "",
		"/cursor=1-2&cursor=3?x&cursor=4-5": "4-5",
	} {
		request := "GET " + target + " HTTP/1.1\r\nX: ?cursor=6-7\r\n\r\n"
		start, end, ok := findCursor([]byte(request))
		if got := request[start:end]; ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q, %v; want %q", target, got, ok, want)
		}
	}
}

// FuzzRepeated: a request that is recognized as a repetition is one that the parser takes,
// and is parsed to the same but for the cursor.
func FuzzRepeated(f *testing.F) {
	const request = "GET /v1/poll?channel=c&cursor=1-0&wait=25s HTTP/1.1\r\nHost: h\r\n\r\n"
	f.Add([]byte(request))
	f.Add([]byte(strings.Replace(request, "1-0", "2-0~3", 1)))
	f.Add([]byte(strings.Replace(request, "1-0", "2-0&channel=d", 1)))
	var buffer scratch
	r := newRepeated(&FastResult{Repeater: &repeatAll{}}, []byte(request), &buffer)
	f.Fuzz(func(t *testing.T, again []byte) {
		cursor, ok := r.match(again, &buffer)
		if !ok {
			return
		}
		first, _ := parsePlain([]byte(request))
		second, ok := parsePlain(again)
		if !ok {
			t.Fatalf("%q is not parsed", again)
		}
		query := second.URL.Query()
		if got := query["cursor"]; len(got) != 1 || got[0] != string(cursor) {
			t.Fatalf("cursor %q, parsed as %q", cursor, got)
		}
		query.Set("cursor", "1-0")
		if query.Encode() != first.URL.Query().Encode() || second.Host != first.Host || second.URL.Path != first.URL.Path {
			t.Fatalf("%q asks for something else", again)
		}
	})
}
