package wire

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// appendPayload appends data, one JSON value, as SSE data lines without the last
// line's end: a string as its text, anything else as it is.
func appendPayload(b, data []byte) []byte {
	b = append(b, dataField...)
	if len(data) < 2 || data[0] != '"' {
		return append(b, data...)
	}
	text := data[1 : len(data)-1]
	afterCR := false
	for {
		// Line breaks are always escaped in JSON, so what is not can be copied.
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return append(b, text...)
		}
		b = append(b, text[:i]...)
		r, size := unescape(text[i:])
		text = text[i+size:]
		switch lineFeed := r == '\n'; {
		case lineFeed && afterCR && i == 0: // the second half of a CRLF
		case lineFeed || r == '\r':
			b = append(append(b, '\n'), dataField...)
		default:
			b = utf8.AppendRune(b, r)
		}
		afterCR = r == '\r'
	}
}

// unescape reads the JSON escape that s begins with and returns its length
// too. Half a surrogate pair is U+FFFD, as in encoding/json and browsers.
func unescape(s []byte) (rune, int) {
	if len(s) < 2 {
		return utf8.RuneError, len(s)
	}
	switch s[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		const size = len(`\uXXXX`)
		r, ok := unescapeHex(s)
		if !ok {
			return utf8.RuneError, 2
		}
		if !utf16.IsSurrogate(r) {
			return r, size
		}
		if low, ok := unescapeHex(s[size:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 2 * size
			}
		}
		return utf8.RuneError, size
	}
	return rune(s[1]), 2
}

// unescapeHex reads the \uXXXX that s may begin with.
func unescapeHex(s []byte) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s[2:6]), 16, 16)
	return rune(n), err == nil
}
