package wire

import (
	"encoding/json"
	"errors"
	"strconv"

	"comet/pubsub"
)

// Presence is one page of the users in a channel. As JSON:
//
//	{"channel":"…","count":2,"users":[{"user":"alice","info":{…},"since":"2026-01-02T03:04:05.678Z"}],"next":"alice"}
//
// Info is left out if there is none.
type Presence struct {
	Channel string
	Count   int // users in all
	Users   []pubsub.Member
	Next    string // where the next page begins; empty, and left out, if this is the last
}

// NewPresence is the page of a channel.
func NewPresence(channel string, page *pubsub.MemberPage) *Presence {
	p := &Presence{Channel: channel, Count: page.Count, Users: page.Members}
	if page.More {
		p.Next = page.Members[len(page.Members)-1].User
	}
	return p
}

// AppendJSON appends p as a JSON object.
func (p *Presence) AppendJSON(b []byte) []byte {
	b = appendString(append(b, `{"channel":`...), p.Channel)
	b = strconv.AppendInt(append(b, `,"count":`...), int64(p.Count), 10)
	b = append(b, `,"users":[`...)
	for i := range p.Users {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendMember(b, &p.Users[i])
	}
	b = append(b, ']')
	if p.Next != "" {
		b = appendString(append(b, `,"next":`...), p.Next)
	}
	return append(b, '}')
}

func appendMember(b []byte, m *pubsub.Member) []byte {
	b = appendString(append(b, `{"user":`...), m.User)
	if m.Info != nil {
		b = append(append(b, `,"info":`...), m.Info...)
	}
	b = m.Since.UTC().AppendFormat(append(b, `,"since":"`...), timeLayout)
	return append(b, `"}`...)
}

// ParsePresence decodes what AppendJSON encodes. Its errors are ErrMalformed.
func ParsePresence(b []byte) (*Presence, error) {
	var page struct {
		Channel string          `json:"channel"`
		Count   *int            `json:"count"`
		Users   []pubsub.Member `json:"users"`
		Next    string          `json:"next"`
	}
	if err := json.Unmarshal(b, &page); err != nil {
		return nil, malformed("presence", err)
	}
	if page.Channel == "" || page.Count == nil || *page.Count < len(page.Users) {
		return nil, malformed("presence", errors.New("channel or count is missing, or count is too small"))
	}
	for i := range page.Users {
		m := &page.Users[i]
		if m.User == "" {
			return nil, malformed("presence", errors.New("a user without a name"))
		}
		m.Since = m.Since.UTC()
		if m.Info == nil {
			continue
		}
		info, err := pubsub.CompactJSON(m.Info)
		if err != nil {
			return nil, malformed("presence", err)
		}
		m.Info = info
	}
	return &Presence{Channel: page.Channel, Count: *page.Count, Users: page.Users, Next: page.Next}, nil
}
