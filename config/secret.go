package config

import (
	"fmt"
	"io"
	"log/slog"
)

const mask = "******"

// Secret is a text that formatting, logging and marshalling mask. The zero value is
// empty.
type Secret struct {
	text *string // a pointer, as %p prints fields without calling Format
}

// NewSecret returns a Secret of text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String returns a mask, or "" for an empty Secret.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return mask
}

// Format writes String for every verb, %#v and %d included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue implements slog.LogValuer with String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns String, for encoding/json and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
