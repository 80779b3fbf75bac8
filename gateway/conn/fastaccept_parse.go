package conn

import (
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// parsePlain parses one whole, plain request: a GET over HTTP/1.1 without a body, on a
// connection that stays open, with no field in its header that needs more than one
// look. ok is false for all others, valid or not, which net/http has to parse. A request
// that it accepts means the same to net/http (FuzzParsePlain), which takes several times
// as long. The request has no RemoteAddr.
func parsePlain(input []byte) (r *http.Request, ok bool) {
	head, whole := bytes.CutSuffix(input, []byte("\r\n\r\n"))
	if !whole {
		return nil, false
	}
	return parseHead(http.MethodGet, head)
}

// parsePlainPost is parsePlain for a POST with a body that has come whole. It copies the
// body.
func parsePlainPost(input []byte) (r *http.Request, ok bool) {
	head, body, whole := bytes.Cut(input, []byte("\r\n\r\n"))
	if !whole {
		return nil, false
	}
	r, ok = parseHead(http.MethodPost, head)
	if !ok || r.ContentLength != int64(len(body)) {
		return nil, false
	}
	r.Body = io.NopCloser(bytes.NewReader(bytes.Clone(body)))
	return r, true
}

// parseHead parses the request line and the header of a request with a method.
func parseHead(method string, head []byte) (r *http.Request, ok bool) {
	line, fields, _ := strings.Cut(string(head), "\r\n")
	target, ok := strings.CutPrefix(line, method+" /")
	if !ok {
		return nil, false
	}
	if target, ok = strings.CutSuffix(target, " HTTP/1.1"); !ok || !isPlain(target, '!') {
		return nil, false
	}
	target = line[len(method)+1:][:1+len(target)]
	u, err := url.ParseRequestURI(target)
	if err != nil || strings.HasPrefix(target, "//") {
		return nil, false
	}
	r = &http.Request{
		Method: method, URL: u, RequestURI: target,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
	return r, parseFields(r, fields)
}

// parseFields parses the header. An empty line is an error.
func parseFields(r *http.Request, fields string) bool {
	n := strings.Count(fields, "\n") + 1
	values := make([]string, n) // of all fields: nearly all have one
	r.Header = make(http.Header, n)
	for field := range strings.SplitSeq(fields, "\r\n") {
		name, value, ok := strings.Cut(field, ":")
		value = strings.Trim(value, " ")
		if !ok || !isToken(name) || !isPlain(value, ' ') {
			return false
		}
		switch name = textproto.CanonicalMIMEHeaderKey(name); name {
		case "Host":
			if r.Host != "" || !isHost(value) {
				return false
			}
			r.Host = value
			continue
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return false
			}
		case "Content-Length":
			n, err := strconv.ParseUint(value, 10, 31)
			if err != nil || r.Method != http.MethodPost || r.ContentLength != 0 || value[0] == '0' {
				return false
			}
			r.ContentLength = int64(n)
		case "Transfer-Encoding", "Upgrade", "Expect", "Trailer", "Pragma":
			return false
		}
		if r.Header[name] != nil {
			return false
		}
		values[0] = value
		r.Header[name], values = values[:1:1], values[1:]
	}
	return r.Host != ""
}

// isPlain reports whether all bytes of s are printable ASCII, and not less than first.
func isPlain(s string, first byte) bool {
	for i := range len(s) {
		if s[i] < first || s[i] > '~' {
			return false
		}
	}
	return true
}

// isToken reports whether s has only letters, digits and dashes, as most field names.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; (c < 'a' || c > 'z') && s[i] != '-' && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return s != ""
}

// isHost reports whether s has only bytes that a host and port have.
func isHost(s string) bool {
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789.-:[]_") == ""
}
