package pubsub

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of the tags of one message.
const (
	MaxTags     = 8
	MaxTagBytes = 256 // of all names and values together
)

// Tags are the tags of a message: up to MaxTags names, each with a value, MaxTagBytes in
// all. A name is 1 or more letters, digits, or any of . _ - /. A value is UTF-8 without
// control characters, and may be empty. The zero value has none. Tags never change, and
// are equal (==) if they have the same names and values.
type Tags struct {
	// json is what MarshalJSON returns. It takes no more memory than the tags, and
	// encoding a message copies it.
	json string
}

// NewTags returns pairs as Tags, or an *InvalidError.
func NewTags(pairs map[string]string) (Tags, error) {
	if len(pairs) == 0 {
		return Tags{}, nil
	}
	if len(pairs) > MaxTags {
		return Tags{}, invalidTags("must be at most %d: here are %d", MaxTags, len(pairs))
	}
	var b strings.Builder
	bytes, separator := 0, byte('{')
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		value := pairs[name]
		if err := validateTag(name, value); err != nil {
			return Tags{}, err
		}
		bytes += len(name) + len(value)
		text, err := TextData(value)
		if err != nil {
			return Tags{}, err
		}
		b.WriteByte(separator)
		b.WriteString(`"` + name + `":`)
		b.Write(text)
		separator = ','
	}
	if bytes > MaxTagBytes {
		return Tags{}, invalidTags("must have at most %d bytes of names and values in all: here are %d", MaxTagBytes, bytes)
	}
	b.WriteByte('}')
	return Tags{b.String()}, nil
}

func invalidTags(format string, args ...any) error {
	return &InvalidError{"tags", fmt.Sprintf(format, args...)}
}

func validateTag(name, value string) error {
	notInName := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-/", r)
	}
	switch {
	case name == "":
		return invalidTags("must each have a name, as in room:42")
	case strings.ContainsFunc(name, notInName):
		return invalidTags("must have names of letters, digits, or any of . _ - /: %.40q has others", name)
	case !utf8.ValidString(value):
		return invalidTags("must have values in UTF-8: that of %.40q is not", name)
	case strings.ContainsFunc(value, unicode.IsControl):
		return invalidTags("must have values without control characters: that of %.40q has some", name)
	}
	return nil
}

// IsZero reports whether there are no tags.
func (t Tags) IsZero() bool { return t.json == "" }

// Map returns the tags by name, a map of the caller's own; nil if there are none.
func (t Tags) Map() map[string]string {
	if t.json == "" {
		return nil
	}
	var pairs map[string]string
	_ = json.Unmarshal([]byte(t.json), &pairs) // NewTags wrote it
	return pairs
}

// All yields names and values, sorted by name.
func (t Tags) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		pairs := t.Map()
		for _, name := range slices.Sorted(maps.Keys(pairs)) {
			if !yield(name, pairs[name]) {
				return
			}
		}
	}
}

// AppendJSON appends what MarshalJSON returns.
func (t Tags) AppendJSON(b []byte) []byte {
	if t.json == "" {
		return append(b, "{}"...)
	}
	return append(b, t.json...)
}

// MarshalJSON implements json.Marshaler: an object of strings in compact form, sorted by
// name.
func (t Tags) MarshalJSON() ([]byte, error) { return t.AppendJSON(nil), nil }

// UnmarshalJSON implements json.Unmarshaler. Its error is an *InvalidError.
func (t *Tags) UnmarshalJSON(text []byte) (err error) {
	var pairs map[string]*string // with pointers, to detect null
	if json.Unmarshal(text, &pairs) != nil {
		return invalidTags(`must be an object of strings, as in {"room": "42"}`)
	}
	plain := make(map[string]string, len(pairs))
	for name, value := range pairs {
		if value == nil {
			return invalidTags("must have strings as values: that of %.40q is not one", name)
		}
		plain[name] = *value
	}
	*t, err = NewTags(plain)
	return err
}
