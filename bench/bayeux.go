package bench

import (
	"bytes"
	"errors"
	"strconv"
)

// bayeux is the dialect of docs/bayeux.md: each subscriber has a session. Its cursor is
// the number of the step that comes next, and the client ID.
type bayeux struct{ comet }

// Steps of a subscriber. Without a cursor it begins with a handshake.
const (
	bayeuxSubscribe = 's'
	bayeuxConnect   = 'c'
)

func (bayeux) appendPath(b []byte, _ *seek) []byte { return append(b, "/bayeux"...) }

func (bayeux) appendHeader(b []byte, _ *seek) []byte {
	return append(b, "Content-Type: application/json\r\n"...)
}

// appendBody implements poster.
func (bayeux) appendBody(b []byte, s *seek) []byte {
	if len(s.cursor) == 0 {
		return append(b, `[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`...)
	}
	step, id := s.cursor[0], s.cursor[1:]
	b = append(b, `[{"clientId":"`...)
	b = append(b, id...)
	switch {
	case step == bayeuxSubscribe:
		b = append(b, `","channel":"/meta/subscribe","subscription":"/`...)
		b = append(append(b, s.channel...), '"')
	case s.wait:
		b = append(b, `","channel":"/meta/connect","connectionType":"long-polling"`...)
	default:
		b = append(b, `","channel":"/meta/connect","connectionType":"long-polling","advice":{"timeout":0}`...)
	}
	return append(b, "}]"...)
}

// connected implements poster.
func (bayeux) connected(cursor []byte) bool { return len(cursor) > 0 && cursor[0] == bayeuxConnect }

func (bayeux) next(b []byte, _, body []byte) ([]byte, int, error) {
	if bytes.Contains(body, []byte(`"error":"402:`)) {
		return b[:0], 0, nil // the session is over
	}
	_, after, found := bytes.Cut(body, []byte(`"clientId":"`))
	id, _, ended := bytes.Cut(after, []byte(`"`))
	if !found || !ended || bytes.Contains(body, []byte(`"successful":false`)) {
		return nil, 0, errors.New("an answer has no client ID, or is not successful")
	}
	step := byte(bayeuxConnect)
	if bytes.Contains(body, []byte(`"channel":"/meta/handshake"`)) {
		step = bayeuxSubscribe
	}
	return append(append(b, step), id...), bytes.Count(body, []byte(`"comet":{"gap":`)), nil
}

// poster is a dialect whose subscribers send POST requests.
type poster interface {
	appendBody(b []byte, s *seek) []byte
	// connected reports whether a subscriber with the cursor receives all messages.
	connected(cursor []byte) bool
}

// appendPosted adds the length and the body of a POST request, after its header.
func appendPosted(b, body []byte) []byte {
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	return append(append(b, "\r\n\r\n"...), body...)
}
