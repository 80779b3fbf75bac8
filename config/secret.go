package config

import (
	"fmt"
	"io"
	"log/slog"
)

const mask = "******"

// Secret is a text that no formatting, logging or marshalling gives away. The
// zero value is an empty one.
type Secret struct {
	text *string // a pointer, because %p prints fields without asking Format
}

// NewSecret is a Secret that holds text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal is the text itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String is a mask, or empty for an empty Secret.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return mask
}

// Format writes String for every verb, %#v and %d included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String; encoding/json and YAML use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
