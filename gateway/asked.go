package gateway

import (
	"net/http"
	"slices"

	"comet/pubsub"
)

// asked is what a request to events or poll asks for.
type asked struct {
	channels []string      // sorted and distinct
	from     []pubsub.From // one a channel
	apart    bool          // it has a cursor for each channel, see pubsub.CursorSet
}

// askedBy reads `channel`, and where to begin in each: the Last-Event-ID header
// (which an EventSource sends along with the URL it began with, so it counts
// first), else a parameter that stands for it, else `cursor`, else `last`, else
// with the next message. An error about one channel of several names it.
func askedBy(r *http.Request, p *parameters, v *visit) (*asked, error) {
	channels := slices.Clone(p.Values["channel"])
	slices.Sort(channels)
	a := &asked{channels: slices.Compact(channels), apart: p.apart("cursor")}
	if len(a.channels) == 0 {
		return nil, problem(invalidChannel, "The parameter channel is missing: give one or several, as in ?channel=news&channel=chat/1.")
	}
	if limit := v.policy.Limits.Channels; len(a.channels) > limit {
		return nil, problem(invalidParameter, "A subscription may have %d channels at most (limits.channels), this has %d.", limit, len(a.channels))
	}
	for _, channel := range a.channels {
		if err := v.mayHear(channel); err != nil {
			return nil, err
		}
	}
	return a, a.begin(lastEventID(r, p), p)
}

// lastEventIDParameters stand for the header Last-Event-ID, for clients that
// cannot set it and add one of them to the URL that they began with: Yaffle's
// polyfill and reconnecting-eventsource; Mercure's clients, of now and of
// before; Rémy Sharp's polyfill.
var lastEventIDParameters = [...]string{"lastEventId", "lastEventID", "Last-Event-ID", "evs_last_event_id"}

// lastEventID is the cursor that the client keeps as the ID of the last event,
// from the header or a parameter; empty if it has none. Of several values of a
// parameter the last one counts, as it was added last.
func lastEventID(r *http.Request, p *parameters) string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return id
	}
	for _, name := range lastEventIDParameters {
		for _, id := range slices.Backward(p.Values[name]) {
			if id != "" {
				return id
			}
		}
	}
	return ""
}

// mayHear refuses a channel of a subscription.
func (v *visit) mayHear(channel string) error {
	err := pubsub.ValidateChannel(channel)
	if err == nil {
		err = v.maySubscribe(channel)
	}
	if err == nil {
		return nil
	}
	p := v.policy.toProblem(err)
	p.Channels = []string{channel}
	return p
}

// begin reads where to begin; lastEventID is empty if there is none.
func (a *asked) begin(lastEventID string, p *parameters) (err error) {
	a.from = make([]pubsub.From, len(a.channels))
	for i, last := range p.each("last", a.channels) {
		if last != "" {
			a.from[i].Last = p.number("last", last, 0, pubsub.MaxPage)
		}
	}
	cursors := p.each("cursor", a.channels)
	if p.err != nil {
		return p.err
	}
	if a.apart && lastEventID == "" {
		return a.resumeApart(cursors)
	}
	if lastEventID == "" {
		lastEventID = p.Get("cursor")
	}
	return a.resume(lastEventID)
}

// earliest is the cursor before the oldest message that is kept.
const earliest = "earliest"

// resume begins behind the one cursor of all channels; empty: where `last` says.
func (a *asked) resume(cursor string) error {
	switch cursor {
	case "":
	case earliest:
		for i := range a.from {
			a.from[i] = pubsub.From{Earliest: true}
		}
	default:
		at, err := pubsub.ParseCursorSet(a.channels, cursor)
		if err != nil {
			return err
		}
		for i := range a.from {
			a.from[i] = pubsub.From{Cursor: &at[i]}
		}
	}
	return nil
}

// resumeApart begins each channel behind a cursor of its own.
func (a *asked) resumeApart(cursors []string) error {
	for i, cursor := range cursors {
		switch cursor {
		case "":
		case earliest:
			a.from[i] = pubsub.From{Earliest: true}
		default:
			at, err := pubsub.ParseCursor(cursor)
			if err != nil {
				p := problem(invalidCursor, "The cursor %q of channel %q is none of one channel: use one that Comet gave out for just this channel, or `earliest`.", cursor, a.channels[i])
				p.Channels = a.channels[i : i+1]
				return p
			}
			a.from[i] = pubsub.From{Cursor: &at}
		}
	}
	return nil
}

// starts are for a hub.
func (a *asked) starts() []pubsub.Start {
	starts := make([]pubsub.Start, len(a.channels))
	for i, channel := range a.channels {
		starts[i] = pubsub.Start{Channel: channel, From: a.from[i]}
	}
	return starts
}

// cursors are where the subscriber is, beginning at the cursors of at.
func (a *asked) cursors(at []pubsub.Cursor) *pubsub.CursorSet {
	set := pubsub.NewCursorSet(a.channels, at)
	set.Apart = a.apart
	return set
}
