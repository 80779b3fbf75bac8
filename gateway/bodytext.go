package gateway

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// bodyType returns the media type of r's body, in lower case; empty if r names
// none. A body that is compressed, or of another charset than UTF-8, is refused
// by that name: read as UTF-8 it would publish another text without a word.
func bodyType(r *http.Request) (string, error) {
	for _, coding := range fieldValues(r.Header, "Content-Encoding") {
		if !strings.EqualFold(coding, "identity") {
			return "", problem(wrongMediaType, "The body has the Content-Encoding %q: send it without any.", coding)
		}
	}
	contentType := r.Header.Get("Content-Type")
	if contentType == "" {
		return "", nil
	}
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", problem(invalidBody, "The Content-Type is malformed: use application/json or text/plain.")
	}
	if charset := parameters["charset"]; !slices.Contains(utf8Charsets, strings.ToLower(charset)) {
		return "", problem(wrongMediaType, "The body has the charset %q: convert it to UTF-8.", charset)
	}
	return media, nil
}

// utf8Charsets are the names of UTF-8 and of ASCII, which is a part of it
// (https://encoding.spec.whatwg.org/#names-and-labels). Without a name it is UTF-8.
var utf8Charsets = []string{"", "utf-8", "utf8", "unicode-1-1-utf-8", "us-ascii", "ascii"}

// fieldValues are the elements of a header field that is a list, of all its
// lines (RFC 9110 section 5.6.1).
func fieldValues(h http.Header, name string) (values []string) {
	for _, line := range h[name] {
		for value := range strings.SplitSeq(line, ",") {
			if value = strings.Trim(value, " \t"); value != "" {
				values = append(values, value)
			}
		}
	}
	return values
}

// byteOrderMarks are those of the charsets that are refused; that of UTF-32 is
// before that of UTF-16, which it begins with.
var byteOrderMarks = []struct{ mark, charset string }{
	{"\xff\xfe\x00\x00", "UTF-32LE"},
	{"\x00\x00\xfe\xff", "UTF-32BE"},
	{"\xff\xfe", "UTF-16LE"},
	{"\xfe\xff", "UTF-16BE"},
}

// withoutMark returns body without the byte order mark of UTF-8 that it may
// begin with, as Windows tools write it. That of another charset is an error.
func withoutMark(body []byte) ([]byte, error) {
	for _, m := range byteOrderMarks {
		if bytes.HasPrefix(body, []byte(m.mark)) {
			return nil, problem(wrongMediaType, "The body begins with the byte order mark of %s: convert it to UTF-8, or encode binary data, for example as base64.", m.charset)
		}
	}
	return bytes.TrimPrefix(body, []byte("\uFEFF")), nil
}

// channelName is the name of a channel in a JSON text.
type channelName struct {
	text   string
	broken bool // it has bytes that are not UTF-8, or half of a surrogate pair
}

// UnmarshalJSON implements json.Unmarshaler. encoding/json replaces what is not
// Unicode by U+FFFD, which would make it the name of another channel.
func (n *channelName) UnmarshalJSON(text []byte) error {
	n.broken = !utf8.Valid(text) || hasHalfPair(text)
	return json.Unmarshal(text, &n.text)
}

// hasHalfPair reports whether a valid JSON string escapes half of a surrogate
// pair without the other half (RFC 8259 section 8.2).
func hasHalfPair(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		high, ok := escapedUnit(text[i:])
		if !ok {
			i++ // the escaped byte, which may be a backslash
			continue
		}
		i += unitBytes - 1
		if !utf16.IsSurrogate(high) {
			continue
		}
		low, ok := escapedUnit(text[i+1:])
		if !ok || utf16.DecodeRune(high, low) == utf8.RuneError {
			return true
		}
		i += unitBytes
	}
	return false
}

// unitBytes is the length of an escaped UTF-16 unit, \uXXXX.
const unitBytes = 6

// escapedUnit is the UTF-16 unit that text begins with in escaped form.
func escapedUnit(text []byte) (unit rune, ok bool) {
	if len(text) < unitBytes || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	for _, c := range text[2:unitBytes] {
		digit := strings.IndexByte("0123456789abcdef", c|0x20)
		if digit < 0 {
			return 0, false
		}
		unit = unit<<4 | rune(digit)
	}
	return unit, true
}
