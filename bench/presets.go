package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// pollWait is how long a long-poll of Comet waits by default.
const pollWait = 25 * time.Second

// comet is the dialect of docs/protocol.md.
type comet struct{}

func (comet) traits() traits {
	return traits{polls: true, atOnce: true, resumes: true, earliest: true, keyed: true}
}

func (comet) appendPath(b []byte, s *seek) []byte {
	switch {
	case !s.poll:
		b = append(b, "/v1/events?channel="...)
	case s.wait:
		b = append(b, "/v1/poll?wait=25s&channel="...) // pollWait
	default:
		b = append(b, "/v1/poll?wait=0&channel="...)
	}
	b = append(b, s.channel...)
	switch {
	case len(s.cursor) > 0 && s.poll:
		b = appendEscaped(append(b, "&cursor="...), s.cursor)
	case len(s.cursor) == 0 && s.earliest:
		b = append(b, "&cursor=earliest"...)
	}
	return b
}

func (comet) appendHeader(b []byte, s *seek) []byte { return appendLastEventID(b, s) }

func (comet) next(b []byte, _, body []byte) ([]byte, int, error) {
	_, after, found := bytes.Cut(body, []byte(`"cursor":"`))
	cursor, _, ended := bytes.Cut(after, []byte(`"`))
	if !found || !ended {
		return nil, 0, errors.New("an answer to a poll has no cursor")
	}
	// Gaps come last. Quotes within a message are escaped.
	_, gaps, _ := bytes.Cut(body, []byte(`"gap":[`))
	return append(b, cursor...), bytes.Count(gaps, []byte(`"reason":`)), nil
}

func (comet) publish(channel, key, data string) publication {
	return publication{
		method: "POST", path: "/v1/channels/" + channel + "/messages",
		header: append([][2]string{{"Idempotency-Key", key}}, plainText...), body: data,
	}
}

func (comet) refused([]byte) string { return "" }

// nchan is the dialect of an nginx with Nchan's locations /stream, /poll and
// /publish, each for the channel in the argument id. A subscriber without a cursor
// gets the oldest message first
// (https://nchan.io/#nchan_subscriber_first_message).
type nchan struct{}

func (nchan) traits() traits { return traits{polls: true, primed: true, resumes: true, earliest: true} }

func (nchan) appendPath(b []byte, s *seek) []byte {
	if s.poll {
		return append(append(b, "/poll?id="...), s.channel...)
	}
	return append(append(b, "/stream?id="...), s.channel...)
}

// A poll's cursor is its answer's Last-Modified and Etag, with a line break
// between them (https://nchan.io/#long-polling).
func (nchan) appendHeader(b []byte, s *seek) []byte {
	if modified, tag, found := bytes.Cut(s.cursor, []byte("\n")); found && s.poll {
		return fmt.Appendf(b, "If-Modified-Since: %s\r\nIf-None-Match: %s\r\n", modified, tag)
	}
	return appendLastEventID(b, s)
}

func (nchan) next(b []byte, head, _ []byte) ([]byte, int, error) {
	modified, tag := headerValue(head, "Last-Modified"), headerValue(head, "Etag")
	if modified == nil || tag == nil {
		return nil, 0, errors.New("an answer to a poll has no Last-Modified or Etag")
	}
	return append(append(append(b, modified...), '\n'), tag...), 0, nil
}

func (nchan) publish(channel, _, data string) publication {
	return publication{method: "POST", path: "/publish?id=" + channel, header: plainText, body: data}
}

func (nchan) refused([]byte) string { return "" }

// streams implements a dialect's methods for servers without polls.
type streams struct{}

func (streams) next([]byte, []byte, []byte) ([]byte, int, error) {
	return nil, 0, errors.ErrUnsupported
}

func (streams) refused([]byte) string { return "" }

// mercure is the dialect of a Mercure hub (https://mercure.rocks/spec). One token
// has the rights of subscribers and publishers.
type mercure struct{ streams }

func (mercure) traits() traits { return traits{resumes: true, earliest: true} }

func (mercure) appendPath(b []byte, s *seek) []byte {
	return append(append(b, "/.well-known/mercure?topic="...), s.channel...)
}

func (mercure) appendHeader(b []byte, s *seek) []byte {
	if len(s.cursor) == 0 && s.earliest {
		return append(b, "Last-Event-ID: earliest\r\n"...)
	}
	return appendLastEventID(b, s)
}

func (mercure) publish(channel, _, data string) publication {
	header, body := formBody(url.Values{"topic": {channel}, "data": {data}})
	return publication{method: "POST", path: "/.well-known/mercure", header: header, body: body}
}

// centrifugo is the dialect of Centrifugo's uni_sse, which has no resume
// (https://centrifugal.dev/docs/transports/uni_sse), and its HTTP API. Its
// connections must be allowed without a token.
type centrifugo struct {
	streams
	key string // of the API
}

func (centrifugo) traits() traits { return traits{} }

func (centrifugo) appendPath(b []byte, s *seek) []byte {
	b = append(b, "/connection/uni_sse?cf_connect="...)
	return appendEscaped(b, fmt.Appendf(nil, `{"subs":{"%s":{}}}`, s.channel))
}

func (centrifugo) appendHeader(b []byte, _ *seek) []byte { return b }

func (c centrifugo) publish(channel, _, data string) publication {
	body, err := json.Marshal(map[string]string{"channel": channel, "data": data})
	if err != nil {
		panic(err) // two strings
	}
	header := [][2]string{{"Content-Type", "application/json"}}
	if c.key != "" {
		header = append(header, [2]string{"X-API-Key", c.key})
	}
	return publication{method: "POST", path: "/api/publish", header: header, body: string(body)}
}

// refused reads an error that has status 200 (https://centrifugal.dev/docs/server/server_api).
func (centrifugo) refused(answer []byte) string {
	var a struct {
		Error *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(answer, &a) != nil || a.Error == nil {
		return ""
	}
	return fmt.Sprintf("error %d %s", a.Error.Code, a.Error.Message)
}

// custom is the dialect of any server with SSE streams, made of templates.
type custom struct {
	streams
	subscribe, path, body string
	method                string
}

func newCustom(t *Target) custom {
	return custom{subscribe: templatePath(t.SubscribeURL), path: templatePath(t.PublishURL), body: t.PublishBody, method: t.PublishMethod}
}

// templatePath returns a template without its server.
func templatePath(template string) string {
	if !absolute(template) {
		return template
	}
	_, path, _ := splitTemplate(template) // validated
	return path
}

func (custom) traits() traits { return traits{resumes: true} }

func (c custom) appendPath(b []byte, s *seek) []byte {
	fill := strings.NewReplacer("{channel}", s.channel, "{cursor}", string(appendEscaped(nil, s.cursor)))
	return append(b, fill.Replace(c.subscribe)...)
}

func (custom) appendHeader(b []byte, s *seek) []byte { return appendLastEventID(b, s) }

func (c custom) publish(channel, _, data string) publication {
	fill := strings.NewReplacer("{channel}", channel, "{data}", data)
	p := publication{method: c.method, path: fill.Replace(c.path), body: fill.Replace(c.body), header: plainText}
	if c.body != "{data}" && strings.ContainsAny(c.body[:1], "{[") {
		p.header = [][2]string{{"Content-Type", "application/json"}} // Target.Headers override it
	}
	return p
}
