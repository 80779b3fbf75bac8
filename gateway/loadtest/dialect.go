package loadtest

import (
	"bytes"
	"fmt"
	"net/url"
)

// Dialect is how a server is asked for a stream and given a message. Its
// methods are called concurrently.
type Dialect interface {
	// StreamPath is where GET answers with an endless body, each message of
	// which ends with a line.
	StreamPath(channel string) string
	// PublishPath is where a message is POSTed as text/plain.
	PublishPath(channel string) string
}

// PollDialect is a Dialect that has long-polls too.
type PollDialect interface {
	Dialect
	// FirstPoll is the poll of a subscriber that has seen nothing and wants
	// all: it is answered at once if the channel holds a message.
	FirstPoll(channel string) Poll
	// NextPoll is the poll after an answer. Head is its header with the status
	// line; both are valid until NextPoll returns.
	NextPoll(channel string, head, body []byte) (Poll, error)
}

// Poll is a request: a path with its query, and header lines, each ended by
// CRLF.
type Poll struct{ Path, Header string }

// Comet speaks Comet's own interface, docs/protocol.md.
type Comet struct{}

func (Comet) StreamPath(channel string) string {
	return "/v1/events?channel=" + url.QueryEscape(channel)
}

func (Comet) PublishPath(channel string) string {
	return "/v1/channels/" + url.PathEscape(channel) + "/messages"
}

func (Comet) FirstPoll(channel string) Poll { return cometPoll(channel, "earliest") }

func (Comet) NextPoll(channel string, _, body []byte) (Poll, error) {
	_, after, found := bytes.Cut(body, []byte(`"cursor":"`))
	cursor, _, ended := bytes.Cut(after, []byte(`"`))
	if !found || !ended {
		return Poll{}, fmt.Errorf("an answer to a poll has no cursor: %.100q", body)
	}
	return cometPoll(channel, string(cursor)), nil
}

func cometPoll(channel, cursor string) Poll {
	return Poll{Path: "/v1/poll?wait=55s&channel=" + url.QueryEscape(channel) + "&cursor=" + url.QueryEscape(cursor)}
}

// Nchan speaks to an nginx that has Nchan's locations /stream, /poll and
// /publish, each for the channel in the argument id.
// https://nchan.io/#long-polling tells how a poll says where it is.
type Nchan struct{}

func (Nchan) StreamPath(channel string) string  { return "/stream?id=" + url.QueryEscape(channel) }
func (Nchan) PublishPath(channel string) string { return "/publish?id=" + url.QueryEscape(channel) }

func (Nchan) FirstPoll(channel string) Poll {
	return Poll{Path: "/poll?id=" + url.QueryEscape(channel)}
}

func (n Nchan) NextPoll(channel string, head, _ []byte) (Poll, error) {
	modified, tag := headerValue(head, "Last-Modified"), headerValue(head, "Etag")
	if modified == nil || tag == nil {
		return Poll{}, fmt.Errorf("an answer to a poll has no Last-Modified or Etag: %.200q", head)
	}
	p := n.FirstPoll(channel)
	p.Header = fmt.Sprintf("If-Modified-Since: %s\r\nIf-None-Match: %s\r\n", modified, tag)
	return p, nil
}
