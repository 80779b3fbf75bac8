package redisbroker

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"comet/pubsub"
)

func TestMeta(t *testing.T) {
	if got := encodeExtra(&pubsub.Draft{Trace: "00-a"}); got != "00-a" {
		t.Errorf("without a sender and tags: %q", got)
	}
	tags, err := pubsub.NewTags(map[string]string{"room": "<42>"})
	if err != nil {
		t.Fatal(err)
	}
	d := &pubsub.Draft{From: `a"b`, Tags: tags, Trace: "00-a"}
	text := encodeMeta(d)
	x, later, err := decodeMeta(text)
	if err != nil || later || x.From != d.From || x.Tags != d.Tags || encodeExtra(d) != text+"\n00-a" {
		t.Errorf("%s came back as %+v, %t, %v", text, x, later, err)
	}
	for text, want := range map[string]struct {
		from  string
		later bool
		err   error
	}{
		"":                                  {},
		`{"v":2,"from":"a","new":[1]}`:      {from: "a"},
		`{"v":3,"from":{"another":"form"}}`: {later: true},
		`{"v":3}`:                           {later: true},
		`{"v":2,"from":1}`:                  {err: errForeign},
		`{"from":"a"}`:                      {err: errForeign},
		`{"v":1}`:                           {err: errForeign},
		`x`:                                 {err: errForeign},
		`{"v":2,"tags":{"a b":"c"}}`:        {err: errForeign},
	} {
		if x, later, err := decodeMeta(text); x.From != want.from || later != want.later || !errors.Is(err, want.err) {
			t.Errorf("%s: %+v, %t, %v", text, x, later, err)
		}
	}
}

// A node of version 1 takes the payload of a message for one that does not follow the
// newest message, so that it reads the log. It knows no marks, and takes them for traces.
func TestMessageForVersion1(t *testing.T) {
	const meta = `{"v":2,"from":"a]\",b"}`
	payload := fmt.Sprintf("~ v2:%d 5-1048580 5-1048579 x\n[\"4-4\",\"00-a\",%s,[1,\"]\"]]", len(meta), meta)
	m, err := decodeRelayed("c", payload)
	if err != nil || m.From != `a]",b` || m.Prev.String() != "4-4" || m.Trace != "00-a" || m.Type != "x" || string(m.Data) != `[1,"]"]` {
		t.Fatalf("decoded %+v, %v", m, err)
	}
	_, unmarked, _ := strings.Cut(payload[2:], " ")
	old, err := decodeRelayed("c", "~ trace "+unmarked)
	if err != nil || old.ID != m.ID || old.Prev == m.Prev || old.Prev.MS != m.ID.MS {
		t.Errorf("version 1 decodes %+v, %v", old, err)
	}
	later := strings.Replace(payload, `"v":2`, `"v":3`, 1)
	if m, err := decodeRelayed("c", later); err != nil || len(m.Data) != 0 || m.ID != old.ID {
		t.Errorf("a later version: %+v, %v, want it to be announced", m, err)
	}
}

// A node of version 1 gets the second payload of an ephemeral message, and others the
// first.
func TestEphemeralForVersion1(t *testing.T) {
	d := &pubsub.Draft{Type: "typing", Data: []byte(`"x"`), From: "alice", Trace: "00-a"}
	payload, old := encodeEphemeral(d)
	m, err := decodeRelayed("c", string(payload))
	if err != nil || m.From != "alice" || m.Trace != "00-a" || m.Type != "typing" || string(m.Data) != `"x"` || !m.Ephemeral() {
		t.Errorf("decoded %+v, %v", m, err)
	}
	if m, err := decodeRelayed("c", string(old)); m != nil || err != nil {
		t.Errorf("the payload for version 1 is %+v, %v here", m, err)
	}
	unmarked := func(payload []byte) string {
		_, rest, _ := strings.Cut(string(payload[2:]), " ")
		return "~ trace " + rest
	}
	if m, err := decodeRelayed("c", unmarked(payload)); err == nil {
		t.Errorf("version 1 takes the first payload for %+v", m)
	}
	if m, err := decodeRelayed("c", unmarked(old)); err != nil || m.Type != "typing" || string(m.Data) != `"x"` || !m.Ephemeral() {
		t.Errorf("version 1 takes the second payload for %+v, %v", m, err)
	}
}

// BenchmarkDecodeRelayed: a message of 100 bytes, as each node decodes it once.
func BenchmarkDecodeRelayed(b *testing.B) {
	data := fmt.Sprintf(`{"user":"a-name","text":"%s"}`, strings.Repeat("words of a chat ", 4))
	for name, meta := range map[string]string{"plain": "", "sender": `{"v":2,"from":"alice"}`, "tags": `{"v":2,"from":"alice","tags":{"lang":"de","room":"42"}}`} {
		payload := "1795332004162-680290 1795332004161-680290 message\n" + data
		if meta != "" {
			payload = fmt.Sprintf("~ v2:%d 1795332004162-680290 1795332004162-680289 message\n[\"1795332004161-680290\",\"\",%s,%s]", len(meta), meta, data)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if m, err := decodeRelayed("c", payload); err != nil || string(m.Data) != data {
					b.Fatal(m, err)
				}
			}
		})
	}
}
