package pubsub

import "slices"

// startSearch finds in a log where a subscriber without a cursor begins: From's
// Earliest and Last.
type startSearch struct {
	bounds          // of what is still to be found
	whole    bounds // of all
	backward bool   // else the oldest message is all that is looked for
	filter   *Filter

	page   *Page      // what was found; without Messages once they are too many to be kept
	oldest *Message   // that was looked at
	wanted []*Message // with a filter: those found, the newest first
	cut    bool       // there are more messages than bytes allows
}

// bounds are of messages at the end of a log.
type bounds struct {
	last  int // messages
	bytes int // of data
	keep  int // of data that may be kept, so that it need not be read again
}

// searchBytes bounds the data that From.Last finds, in all channels of a
// subscriber together.
const searchBytes = 4 << 20

// newStartSearch begins the search for one of a subscriber's channels.
func newStartSearch(from From, channels int, f *Filter) *startSearch {
	b := bounds{last: min(from.Last, MaxPage), bytes: searchBytes / channels, keep: replayBytes / channels}
	return &startSearch{bounds: b, whole: b, backward: !from.Earliest, filter: f}
}

func (s *startSearch) query(channel string, messages int) Query {
	q := Query{Channel: channel, Limit: messages}
	if s.backward {
		if q.Backward = true; s.filter == nil {
			q.Limit = min(messages, s.last)
		}
		if s.oldest != nil {
			q.Cursor = s.oldest.ID
		}
	}
	return q
}

// addPage looks through the answer to query. Once the beginning is found it
// returns a page that has it as its first message; whole says that nothing is
// missing from there to the page's End but what a read after it has. nil: query
// again.
func (s *startSearch) addPage(p *Page) (found *Page, whole bool) {
	if !s.backward {
		return p, true
	}
	switch {
	case s.page == nil:
		first := *p
		s.page = &first
		s.page.Messages = nil
	case p.Epoch != s.page.Epoch:
		// Another primary: it may not have what was found in the first one's log.
		s.bounds, s.page, s.oldest, s.wanted = s.whole, nil, nil, nil
		return nil, false
	default: // what is older has the log's first message, and other epochs, if any
		if s.page.TTL = p.TTL; !p.Epochs.isZero() {
			s.page.Epochs = p.Epochs
		}
	}
	for _, m := range p.Messages {
		if s.last == 0 {
			return s.found()
		}
		if s.cut = s.oldest != nil && len(m.Data) > s.bytes; s.cut {
			return s.found()
		}
		s.bytes -= len(m.Data)
		s.oldest = m
		if s.filter != nil {
			if s.filter.wants(m.Channel) {
				s.last--
				s.wanted = append(s.wanted, m)
			}
			continue
		}
		s.last--
		s.keep -= len(m.Data)
		if s.keep >= 0 {
			s.page.Messages = append(s.page.Messages, m)
		} else {
			s.page.Messages = nil
		}
	}
	if p.More && s.last > 0 && s.bytes > 0 {
		return nil, false
	}
	s.cut = p.More && s.last > 0
	return s.found()
}

func (s *startSearch) found() (page *Page, whole bool) {
	if s.filter != nil {
		if n := len(s.wanted); n > 0 {
			s.page.Messages = s.wanted[n-1:]
		}
		return s.page, false
	}
	slices.Reverse(s.page.Messages)
	if s.keep < 0 {
		s.page.Messages = []*Message{s.oldest}
	}
	return s.page, s.keep >= 0
}

// trimLast ends From.Last of patterns: each index log was searched for the newest Last
// messages, and of all these the newest Last count.
func (s *Subscriber) trimLast(starts []Start) {
	for i, p := range s.places {
		if p.found == nil || !p.found.backward {
			p.found = nil
			continue
		}
		var group []*subscription // the index logs of one pattern
		for j, q := range s.places[i:] {
			if q.found != nil && starts[i+j].Filter == starts[i].Filter {
				group = append(group, q)
			}
		}
		trimGroup(group, starts[i].From.Last)
	}
}

// trimGroup has the subscriptions of one pattern begin with its newest last messages.
func trimGroup(group []*subscription, last int) {
	left := make([][]*Message, len(group)) // found and not kept yet, the newest first
	for i, p := range group {
		left[i] = p.found.wanted
	}
	kept := make([]int, len(group))
	for range last {
		newest := -1
		for i, messages := range left {
			if len(messages) > 0 && (newest < 0 || messages[0].ID.Compare(left[newest][0].ID) > 0) {
				newest = i
			}
		}
		if newest < 0 {
			break
		}
		left[newest] = left[newest][1:]
		kept[newest]++
	}
	for i, p := range group {
		page := *p.found.page
		if page.Messages = nil; kept[i] > 0 {
			page.Messages = p.found.wanted[kept[i]-1 : kept[i]]
		}
		p.beginAt(&page)
		p.found, p.held = nil, nil
	}
}
