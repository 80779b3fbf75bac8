package wire

import (
	"encoding/json"
	"errors"

	"comet/pubsub"
)

// Poll is the answer to a poll. The next poll sends Cursor. A reader handles Gaps
// before Messages: they say what will not come.
type Poll struct {
	Cursor   string
	Messages []*pubsub.Message
	Gaps     []*pubsub.Gap
	// Cursors, from AppendCursors, has a cursor per channel; nil: they are not sent.
	Cursors json.RawMessage
	// More says that older messages were requested that are too large together.
	More bool
}

// AppendJSON appends {"cursor":"…","messages":[…],"gap":[…]}, with "cursors":{…} and
// "more":true if they are set.
func (p *Poll) AppendJSON(b []byte) []byte {
	b = appendString(append(b, `{"cursor":`...), p.Cursor)
	b = appendArray(append(b, `,"messages":`...), p.Messages, AppendMessageJSON)
	b = appendArray(append(b, `,"gap":`...), p.Gaps, AppendGapJSON)
	b = appendMore(appendCursorsMember(b, p.Cursors), p.More)
	return append(b, '}')
}

// ParsePoll decodes what AppendJSON encodes. Its errors are ErrMalformed.
func ParsePoll(b []byte) (*Poll, error) {
	var answer struct {
		Cursor   *string  `json:"cursor"`
		Messages []object `json:"messages"`
		Gaps     []object `json:"gap"`

		Cursors json.RawMessage `json:"cursors"`
		More    bool            `json:"more"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, malformed("poll", err)
	}
	if answer.Cursor == nil {
		return nil, malformed("poll", errors.New("no cursor"))
	}
	messages, err := parseArray(answer.Messages, (*object).message)
	if err != nil {
		return nil, err
	}
	gaps, err := parseArray(answer.Gaps, (*object).gap)
	if err != nil {
		return nil, err
	}
	return &Poll{Cursor: *answer.Cursor, Messages: messages, Gaps: gaps, Cursors: answer.Cursors, More: answer.More}, nil
}

// History is one page of a channel's log.
type History struct {
	Messages []*pubsub.Message
	More     bool // there are further messages, in the direction of the page
}

// AppendJSON appends {"messages":[…],"more":false}.
func (h *History) AppendJSON(b []byte) []byte {
	b = appendArray(append(b, `{"messages":`...), h.Messages, AppendMessageJSON)
	if h.More {
		return append(b, `,"more":true}`...)
	}
	return append(b, `,"more":false}`...)
}

// ParseHistory decodes what AppendJSON encodes. Its errors are ErrMalformed.
func ParseHistory(b []byte) (*History, error) {
	var answer struct {
		Messages []object `json:"messages"`
		More     *bool    `json:"more"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, malformed("history", err)
	}
	if answer.More == nil {
		return nil, malformed("history", errors.New("no member more"))
	}
	messages, err := parseArray(answer.Messages, (*object).message)
	if err != nil {
		return nil, err
	}
	return &History{Messages: messages, More: *answer.More}, nil
}

func appendArray[T any](b []byte, elements []*T, appendElement func([]byte, *T) []byte) []byte {
	b = append(b, '[')
	for i, e := range elements {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendElement(b, e)
	}
	return append(b, ']')
}

func parseArray[T any](objects []object, parse func(*object) (*T, error)) ([]*T, error) {
	var elements []*T
	for i := range objects {
		e, err := parse(&objects[i])
		if err != nil {
			return nil, err
		}
		elements = append(elements, e)
	}
	return elements, nil
}
