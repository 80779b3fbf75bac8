package pubsub

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestValidateChannel(t *testing.T) {
	for _, name := range []string{"a", "chat/42", "Grüße", "a b", "日本", "comet.x", ".", "%", strings.Repeat("x", MaxChannelBytes)} {
		if err := ValidateChannel(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", strings.Repeat("x", MaxChannelBytes+1), strings.Repeat("ü", 128), "\xff", "a\xc3", "\xed\xa0\x80",
		"{a}", "a{", "a}", "a\nb", "\x00", "\x7f", "\u0085",
	} {
		wantInvalid(t, name, ValidateChannel(name), "channel")
	}
}

func wantInvalid(t *testing.T, what string, err error, field string) {
	t.Helper()
	if invalid, ok := errors.AsType[*InvalidError](err); !ok || invalid.Field != field || invalid.Message == "" {
		t.Errorf("%q: got %v, want an InvalidError of %s", what, err, field)
	}
}

func TestDraftValidate(t *testing.T) {
	draft := func(change func(*Draft)) Draft {
		d := Draft{Channel: "a", Type: "t", Data: []byte("1"), Key: "k"}
		change(&d)
		return d
	}
	for _, c := range []struct {
		name, field string // no field: valid
		draft       Draft
	}{
		{"all set", "", draft(func(*Draft) {})},
		{"least", "", Draft{Channel: "a", Data: []byte("1")}},
		{"ephemeral", "", Draft{Channel: "a", Data: []byte("1"), Ephemeral: true}},
		{"longest", "", draft(func(d *Draft) {
			d.Type, d.Key = strings.Repeat("t", MaxTypeBytes), strings.Repeat("~", MaxKeyBytes)
		})},
		{"every sign of a type", "", draft(func(d *Draft) { d.Type = "aZ09._-:/" })},
		{"control prefix inside", "", draft(func(d *Draft) { d.Type = "my.comet.x" })},
		{"no channel", "channel", draft(func(d *Draft) { d.Channel = "" })},
		{"type too long", "type", draft(func(d *Draft) { d.Type = strings.Repeat("t", MaxTypeBytes+1) })},
		{"type with a space", "type", draft(func(d *Draft) { d.Type = "a b" })},
		{"type with a line break", "type", draft(func(d *Draft) { d.Type = "a\nb" })},
		{"type not ASCII", "type", draft(func(d *Draft) { d.Type = "é" })},
		{"type of Comet", "type", draft(func(d *Draft) { d.Type = "comet.gap" })},
		{"type of EventSource's errors", "type", draft(func(d *Draft) { d.Type = "error" })},
		{"type of EventSource's opening", "type", draft(func(d *Draft) { d.Type = "open" })},
		{"key too long", "key", draft(func(d *Draft) { d.Key = strings.Repeat("k", MaxKeyBytes+1) })},
		{"key with a space", "key", draft(func(d *Draft) { d.Key = "a b" })},
		{"key not ASCII", "key", draft(func(d *Draft) { d.Key = "é" })},
		{"key with DEL", "key", draft(func(d *Draft) { d.Key = "\x7f" })},
		{"key of an ephemeral", "key", draft(func(d *Draft) { d.Ephemeral = true })},
		{"no data", "data", draft(func(d *Draft) { d.Data = nil })},
		{"longest from", "", draft(func(d *Draft) { d.From = strings.Repeat("x", MaxFromBytes) })},
		{"from too long", "from", draft(func(d *Draft) { d.From = strings.Repeat("x", MaxFromBytes+1) })},
		{"from not UTF-8", "from", draft(func(d *Draft) { d.From = "\xff" })},
		{"from with a line break", "from", draft(func(d *Draft) { d.From = "a\nb" })},
		{"trace with a quote", "trace", draft(func(d *Draft) { d.Trace = `"` })},
	} {
		err := c.draft.Validate()
		if c.field != "" {
			wantInvalid(t, c.name, err, c.field)
		} else if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func FuzzValidateChannel(f *testing.F) {
	for _, name := range []string{"a", "", "a{", "\x00", "\xff", "日本"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		err := ValidateChannel(name)
		if err != nil {
			wantInvalid(t, name, err, "channel")
			return
		}
		if name == "" || len(name) > 255 || !utf8.ValidString(name) || strings.ContainsAny(name, "{}\r\n\x00") {
			t.Errorf("%q is taken for a channel", name)
		}
	})
}

func TestCompactJSON(t *testing.T) {
	for text, want := range map[string]string{
		" { \"a\" : [ 1 , 2.50 ] }\r\n": `{"a":[1,2.50]}`,
		`"a  b"`:                        `"a  b"`,
		"null":                          "null",
		`"<\u2028>"`:                    `"<\u2028>"`,
		"1e999":                         "1e999",
	} {
		if got, err := CompactJSON([]byte(text)); err != nil || string(got) != want {
			t.Errorf("CompactJSON(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "{", "1 2", "{a:1}", "'a'", "NaN", "\"a\nb\""} {
		if got, err := CompactJSON([]byte(text)); !errors.Is(err, ErrNotJSON) {
			t.Errorf("CompactJSON(%q) = %q, %v, want ErrNotJSON", text, got, err)
		}
	}
	if _, err := CompactJSON([]byte("\"\xff\"")); !errors.Is(err, ErrNotText) {
		t.Errorf("bad UTF-8: got %v, want ErrNotText", err)
	}
}

func FuzzCompactJSON(f *testing.F) {
	for _, text := range []string{`{"a": [1, "b"]}`, "null", "\"\n\"", "\xff", "1 1", ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		data, err := CompactJSON(text)
		if err != nil {
			return
		}
		if !json.Valid(data) || bytes.ContainsAny(data, "\r\n") {
			t.Errorf("%q became %q", text, data)
		}
		if again, err := CompactJSON(data); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%q became %q, %v", data, again, err)
		}
	})
}

func FuzzTextData(f *testing.F) {
	for _, text := range []string{"", "hello", "a\nb\r\n", "<script>&", "\"\\", "\u2028", "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		data, err := TextData(text)
		if err != nil {
			if utf8.ValidString(text) || !errors.Is(err, ErrNotText) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		var got string
		if err := json.Unmarshal(data, &got); err != nil || got != text || bytes.ContainsAny(data, "\r\n") {
			t.Errorf("%q became %q, which is %q, %v", text, data, got, err)
		}
	})
}
