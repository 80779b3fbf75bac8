package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// kind parses and formats the values of one type. Errors of parse say what is wrong
// and how to fix it. They never quote the value, which may hold a secret.
type kind[T any] struct {
	name    string // Setting.Type
	allowed string // Setting.Allowed
	parse   func(string) (T, error)
	format  func(T) string // parse reads it back, except for a Secret
}

// row returns a setting with one value.
func row[T any](key, def, help string, k kind[T], field func(*Settings) *T) Setting {
	s := named(key, k.name, k.allowed, def, help)
	var zero T
	_, s.Secret = any(zero).(Secret)
	_, isText := any(zero).(string)
	quote := isText || s.Secret

	s.set = func(to *Settings, raw any) error {
		text, ok := raw.(string)
		if !ok {
			return errors.New("must be one value, not a list")
		}
		value, err := k.parse(text)
		if err == nil {
			*field(to) = value
		}
		return err
	}
	s.text = func(from *Settings) string { return k.format(*field(from)) }
	s.same = func(a, b *Settings) bool {
		if secret, ok := any(*field(a)).(Secret); ok {
			return secret.Reveal() == any(*field(b)).(Secret).Reveal()
		}
		return k.format(*field(a)) == k.format(*field(b)) // which parse reads back
	}
	s.copy = func(to, from *Settings) { *field(to) = *field(from) }
	s.yaml = func(from *Settings) string {
		if quote {
			return strconv.Quote(s.text(from))
		}
		return s.text(from)
	}
	return s
}

// list returns a setting with any number of values, comma-separated in variables
// and flags. Its default is nil, which differs from an empty list.
func list(key, help string, item kind[string], field func(*Settings) *[]string) Setting {
	s := named(key, "list", item.allowed, "", help)
	s.set = func(to *Settings, raw any) error {
		items, ok := raw.([]string)
		if !ok {
			items = splitList(raw.(string))
		}
		parsed, err := parseItems(item, items)
		if err == nil {
			*field(to) = parsed
		}
		return err
	}
	s.text = func(from *Settings) string { return strings.Join(*field(from), ",") }
	s.same = func(a, b *Settings) bool {
		x, y := *field(a), *field(b)
		return (x == nil) == (y == nil) && slices.Equal(x, y)
	}
	s.copy = func(to, from *Settings) { *field(to) = slices.Clone(*field(from)) }
	s.yaml = func(from *Settings) string {
		items := *field(from)
		if items == nil {
			return ""
		}
		quoted := make([]string, len(items))
		for i, item := range items {
			quoted[i] = strconv.Quote(item)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return s
}

func named(key, typ, allowed, def, help string) Setting {
	return Setting{
		Key:     key,
		Env:     envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_")),
		Flag:    strings.NewReplacer(".", "-", "_", "-").Replace(key),
		Type:    typ,
		Allowed: allowed,
		Default: def,
		Help:    help,
	}
}

// mayBeEmpty reports whether "" is a valid value of the setting.
func (s Setting) mayBeEmpty() bool { return s.set(new(Settings), "") == nil }

func splitList(text string) []string {
	if strings.TrimSpace(text) == "" {
		return []string{}
	}
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// parseItems reports every invalid item by its place.
func parseItems(k kind[string], items []string) ([]string, error) {
	parsed := make([]string, len(items))
	var bad []string
	for i, item := range items {
		value, err := k.parse(item)
		if err != nil {
			bad = append(bad, fmt.Sprintf("item %d %v", i+1, err))
		}
		parsed[i] = value
	}
	if len(bad) > 0 {
		return nil, errors.New(strings.Join(bad, "; "))
	}
	return parsed, nil
}

// shown returns value as an error may quote it. URLs and texts with an @ may hold a
// password in any setting, and an invalid rule of keys may be the key itself.
func (s Setting) shown(value string) string {
	if value != "" && (s.Secret || s.Key == keyRules || strings.Contains(value, "@") || strings.Contains(value, "://")) {
		return mask
	}
	return value
}

// textOf returns a string or []string as one line.
func textOf(raw any) string {
	if items, ok := raw.([]string); ok {
		return strings.Join(items, ",")
	}
	return raw.(string)
}
