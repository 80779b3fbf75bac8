package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"comet/pubsub"
)

// readBody reads a body of at most limit bytes, without a byte order mark; name
// is the setting of the limit.
func readBody(w http.ResponseWriter, r *http.Request, limit int, what, name string) ([]byte, error) {
	tooLarge := problem(tooLarge, "A %s may have %d bytes at most (%s).", what, limit, name)
	if r.ContentLength > int64(limit) {
		return nil, tooLarge // before a client that asks whether to send it (Expect) sends it
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, problem(tooSlow, "The body did not arrive in time: send it faster, or less at a time.")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, problem(invalidBody, "The body did not arrive whole.")
	case err != nil:
		return nil, problem(invalidBody, "The body cannot be read: see that its length, or its chunks, are right.")
	}
	return withoutMark(body)
}

// bodyType returns the media type of r's body, in lower case; empty if r names
// none. A body that is compressed, or of another charset than UTF-8, is refused
// with an error that names it: read as UTF-8, it would be another text.
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

// dataOf returns a body of a media type as a message's data. A JSON type must be
// JSON, and text/plain is a string. Anything else, as curl -d sends it, is JSON if
// it is valid JSON, and else a string.
func dataOf(body []byte, media string) ([]byte, error) {
	mustBeJSON := media == "application/json" || strings.HasSuffix(media, "+json")
	if media != "text/plain" {
		data, err := pubsub.CompactJSON(body)
		if err == nil || mustBeJSON {
			return data, bodyError(err)
		}
	}
	data, err := pubsub.TextData(string(body))
	return data, bodyError(err)
}

func bodyError(err error) error {
	switch {
	case errors.Is(err, pubsub.ErrNotJSON):
		return problem(invalidBody, "The body is not one valid JSON value: fix it, or send text as text/plain.")
	case errors.Is(err, pubsub.ErrTooDeep):
		return problem(invalidBody, "The body is JSON nested more than %d deep: make it flatter.", pubsub.MaxDepth)
	case errors.Is(err, pubsub.ErrNotText):
		return problem(invalidBody, "The body is not UTF-8: encode binary data, for example as base64.")
	}
	return err
}

// Bounds of what is read of the body of a refused request, in bytes. net/http
// itself reads servedBytes and closes the connection if there is more. A client
// that reads the answer only after it has sent everything (Python's urllib, for
// one) then sees a broken connection and tries again. So up to refusedBytes are
// read, within Limits.Body after the request began.
const (
	servedBytes  = 256 << 10
	refusedBytes = 64 << 20
)

// mayBeSending reports whether the client of a refused request may still be
// sending more than net/http reads. The rest is not read
// from clients without a valid credential. A client that asks whether to send
// (Expect) reads the answer first, and HTTP/2 has a frame that says to stop.
func mayBeSending(r *http.Request, rc *requestContext) bool {
	return rc.Principal != nil && r.ProtoMajor == 1 && r.Header.Get("Expect") == "" &&
		(r.ContentLength < 0 || r.ContentLength > servedBytes)
}

// answerWhileSending calls answer, and reads and drops what the client sends
// until it has read the answer. Then the connection is closed.
func answerWhileSending(w http.ResponseWriter, r *http.Request, answer func()) {
	c := http.NewResponseController(w)
	_ = c.EnableFullDuplex() // a test's recorder has none
	w.Header().Set("Connection", "close")
	answer()
	if c.Flush() == nil {
		_, _ = io.CopyN(io.Discard, r.Body, refusedBytes) // whatever ends it, the connection is closed
	}
}
