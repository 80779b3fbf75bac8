package wire

import (
	"iter"
	"unicode/utf8"

	"comet/pubsub"
)

// timeLayout is RFC 3339 with exactly three decimals, for times in UTC.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// AppendMessageJSON appends m as a JSON object:
//
//	{"id":"<ms>-<seq>","channel":"…","type":"…","data":…,"time":"2026-01-02T03:04:05.678Z"}
//
// An ephemeral message has no id, and as its first member "ephemeral":true. One with a
// sender or tags has the members "from":"…" and "tags":{"name":"value"} last.
func AppendMessageJSON(b []byte, m *pubsub.Message) []byte {
	return append(appendMessageMembers(append(b, '{'), m), '}')
}

func appendMessageMembers(b []byte, m *pubsub.Message) []byte {
	if m.Ephemeral() {
		b = append(b, `"ephemeral":true`...)
	} else {
		b = appendID(append(b, `"id":`...), m.ID)
	}
	b = appendString(append(b, `,"channel":`...), m.Channel)
	b = appendString(append(b, `,"type":`...), m.Type)
	b = append(append(b, `,"data":`...), m.Data...)
	b = m.Time.UTC().AppendFormat(append(b, `,"time":"`...), timeLayout)
	b = append(b, '"')
	if m.From != "" {
		b = appendString(append(b, `,"from":`...), m.From)
	}
	if !m.Tags.IsZero() {
		b = m.Tags.AppendJSON(append(b, `,"tags":`...))
	}
	return b
}

// AppendGapJSON appends g as {"channel":"…","from":"<id>","to":"<id>","reason":"…"}.
func AppendGapJSON(b []byte, g *pubsub.Gap) []byte {
	return append(appendGapMembers(append(b, '{'), g), '}')
}

func appendGapMembers(b []byte, g *pubsub.Gap) []byte {
	b = appendString(append(b, `"channel":`...), g.Channel)
	b = appendID(append(b, `,"from":`...), g.From)
	b = appendID(append(b, `,"to":`...), g.To)
	return appendString(append(b, `,"reason":`...), string(g.Reason))
}

// AppendCursors appends a cursor per channel as {"<channel>":"<cursor>",…}.
func AppendCursors[C interface{ Append([]byte) []byte }](b []byte, cursors iter.Seq2[string, C]) []byte {
	separator := byte('{')
	for channel, at := range cursors {
		b = append(appendString(append(b, separator), channel), ':')
		b = append(at.Append(append(b, '"')), '"')
		separator = ','
	}
	return append(b, '}')
}

// appendCursorsMember appends a member with the cursors from AppendCursors; nothing
// for nil.
func appendCursorsMember(b, cursors []byte) []byte {
	if cursors == nil {
		return b
	}
	return append(append(b, `,"cursors":`...), cursors...)
}

// appendMore appends the member more if it is true.
func appendMore(b []byte, more bool) []byte {
	if !more {
		return b
	}
	return append(b, `,"more":true`...)
}

func appendID(b []byte, id pubsub.ID) []byte {
	return append(id.Append(append(b, '"')), '"')
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string (RFC 8259 section 7). Bytes that are
// not UTF-8 become U+FFFD, so that the result is always valid.
func appendString[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	copied := 0
	for i := 0; i < len(s); {
		c, size := s[i], 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))])); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		} else if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[copied:i]...)
		b = appendEscaped(b, c)
		i += size
		copied = i
	}
	return append(append(b, s[copied:]...), '"')
}

func appendEscaped(b []byte, c byte) []byte {
	switch {
	case c >= utf8.RuneSelf:
		return append(b, "\uFFFD"...)
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
