package pubsub

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// isCompactJSON is CompactJSON without the copy.
func FuzzIsCompactJSON(f *testing.F) {
	for _, seed := range []string{
		`1`, `-0`, `01`, `-`, `1.`, `1.5e+3`, `1e`, `.5`, `""`, `"\u00e9\n"`, `"\u12"`, `"\x"`, "\"\n\"", `"`, `"a"b`, "\"\xff\"",
		`true`, `tru`, `nul`, `[]`, `[1,2]`, `[1,]`, `[1 ]`, ` 1`, `{}`, `{"a":[{"b":null}]}`, `{"a"}`, `{a:1}`, `{"a":1,}`, ``,
		strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth), strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		compact, err := CompactJSON(data)
		if want := err == nil && bytes.Equal(compact, data); isCompactJSON(data) != want {
			t.Errorf("isCompactJSON(%q) is %v; CompactJSON returns %q, %v", data, !want, compact, err)
		}
	})
}

func TestIsSound(t *testing.T) {
	id, before, after := ID{MS: 5, Epoch: 1}, ID{MS: 4, Epoch: 1}, ID{MS: 6, Epoch: 1}
	sound := map[string]Message{
		"kept":      {ID: id, Prev: before, Type: "message", Data: []byte(`{"a":"b"}`)},
		"first":     {ID: id, Type: "a/b:c.d_e-f", Data: []byte(`1`), Trace: "00-a"},
		"announced": {ID: id, Prev: id, Type: "message"},
		"ephemeral": {Type: "typing", Data: []byte(`1`)},
		"join":      {Type: JoinType, Data: []byte(`{"user":"a"}`)},
		"sent":      {ID: id, Prev: before, Type: "x", Data: []byte(`1`), From: "key:a \"é\""},
	}
	for name, m := range sound {
		if !m.IsSound() {
			t.Errorf("%s: not sound", name)
		}
	}
	unsound := map[string]Message{
		"no type":              {ID: id, Data: []byte(`1`)},
		"a gap":                {Type: "comet.gap", Data: []byte(`{}`)},
		"a gap that is kept":   {ID: id, Type: "comet.gap", Data: []byte(`{}`)},
		"a join that is kept":  {ID: id, Type: JoinType, Data: []byte(`{}`)},
		"a line break in type": {Type: "x\rid: 666", Data: []byte(`1`)},
		"a line break in data": {ID: id, Type: "x", Data: []byte("\"a\nid: 6\"")},
		"white space":          {ID: id, Type: "x", Data: []byte("[1,\r2]")},
		"no JSON":              {Type: "x", Data: []byte("garbage")},
		"no data":              {Type: "x"},
		"a trace with a break": {Type: "x", Data: []byte(`1`), Trace: "a\nb"},
		"a from with a break":  {Type: "x", Data: []byte(`1`), From: "a\nb"},
		"a from too long":      {Type: "x", Data: []byte(`1`), From: strings.Repeat("x", MaxFromBytes+1)},
		"no epoch":             {ID: ID{MS: 5}, Type: "x", Data: []byte(`1`)},
		"before itself":        {ID: id, Prev: after, Type: "x", Data: []byte(`1`)},
		"its own predecessor":  {ID: id, Prev: id, Type: "x", Data: []byte(`1`)},
	}
	for name, m := range unsound {
		if m.IsSound() {
			t.Errorf("%s: sound", name)
		}
	}
}

func BenchmarkIsCompactJSON(b *testing.B) {
	data := []byte(`{"user":"a-name","text":"` + strings.Repeat("words of a chat ", 4) + `","n":12.5}`)
	b.Run("ours", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			isCompactJSON(data)
		}
	})
	b.Run("json.Valid", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			_ = utf8.Valid(data) && json.Valid(data)
		}
	})
}
