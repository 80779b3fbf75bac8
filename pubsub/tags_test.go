package pubsub

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

func TestNewTags(t *testing.T) {
	for text, pairs := range map[string]map[string]string{
		`{}`:                           nil,
		`{"a":""}`:                     {"a": ""},
		`{"a":"1","a.b_c-d/E9":"x:y"}`: {"a.b_c-d/E9": "x:y", "a": "1"},
		`{"q":"\"\\<é>"}`:              {"q": `"\<é>`},
		`{"` + strings.Repeat("n", 256) + `":""}`: {strings.Repeat("n", 256): ""},
	} {
		got, err := NewTags(pairs)
		if err != nil || string(got.AppendJSON(nil)) != text || !maps.Equal(got.Map(), pairs) || got.IsZero() != (pairs == nil) {
			t.Errorf("%v: %s, %v, want %s", pairs, got.json, err, text)
		}
		var back Tags
		if err := json.Unmarshal([]byte(text), &back); err != nil || back != got {
			t.Errorf("%s came back as %s, %v", text, back.json, err)
		}
		if all := maps.Collect(got.All()); len(all) != len(pairs) || len(pairs) > 0 && !maps.Equal(all, pairs) {
			t.Errorf("%s yields %v", text, all)
		}
	}
	nine := make(map[string]string)
	for _, name := range strings.Split("abcdefghi", "") {
		nine[name] = ""
	}
	for _, pairs := range []map[string]string{
		nine, {"": "x"}, {"a:b": "x"}, {"a b": "x"}, {"é": "x"}, {"a": "\xff"}, {"a": "x\ny"},
		{strings.Repeat("n", 256): "x"}, {"a": strings.Repeat("v", 128), "b": strings.Repeat("v", 127)},
	} {
		_, err := NewTags(pairs)
		wantInvalid(t, "tags", err, "tags")
	}
	for _, text := range []string{`1`, `["a"]`, `{"a":1}`, `{"a":null}`, `{"a b":"x"}`} {
		var tags Tags
		wantInvalid(t, text, tags.UnmarshalJSON([]byte(text)), "tags")
	}
}

func FuzzTags(f *testing.F) {
	for _, seed := range []string{`{"a":"b"}`, `{}`, `{"a":"\u003c\ud800"}`, `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var tags, again Tags
		if json.Unmarshal(text, &tags) != nil {
			return
		}
		if err := json.Unmarshal(tags.AppendJSON(nil), &again); err != nil || again != tags {
			t.Errorf("%q: %s came back as %s, %v", text, tags.json, again.json, err)
		}
		if !tags.IsZero() && !isCompactJSON([]byte(tags.json)) {
			t.Errorf("%q: %q is not compact JSON", text, tags.json)
		}
	})
}
