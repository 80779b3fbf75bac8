package pubsub

import (
	"cmp"
	"slices"
	"strings"
)

// Audience is how many subscribers a channel or a pattern has.
type Audience struct {
	Channel     string `json:"channel"`
	Subscribers int    `json:"subscribers"`
}

// Busiest is the channels and patterns with subscribers at this node that wanted accepts,
// the busiest first, at most limit; all is how many there are. A stream counts
// in each of its channels, and a long-poll while it waits.
//
// It looks at every open channel, so it is not for each request.
func (h *Hub) Busiest(limit int, wanted func(channel string) bool) (top []Audience, all int) {
	top = h.audiences()
	top = slices.DeleteFunc(top, func(a Audience) bool { return !wanted(a.Channel) })
	if limit > 0 {
		slices.SortFunc(top, CompareAudiences)
	}
	return top[:min(limit, len(top))], len(top)
}

// audiences is all channels with subscribers, in no order.
func (h *Hub) audiences() []Audience {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]Audience, 0, len(h.open))
	for channel, c := range h.open {
		if n := c.users - c.observers; n > 0 && !IsIndexLog(channel) {
			all = append(all, Audience{channel, n})
		}
	}
	for pattern, n := range h.patterns {
		all = append(all, Audience{pattern, n})
	}
	return all
}

// CompareAudiences puts the busiest first, and those that are equal by name.
func CompareAudiences(a, b Audience) int {
	return cmp.Or(cmp.Compare(b.Subscribers, a.Subscribers), strings.Compare(a.Channel, b.Channel))
}
