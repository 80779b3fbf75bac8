package gateway

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"comet/gateway/admit"
	"comet/gateway/conn"
	"comet/gateway/web"
	"comet/gateway/wire"
	"comet/pubsub"
)

// subscribeRequest is what a request to events or poll asks for.
type subscribeRequest struct {
	admit.Subscription
	first  []int         // of each of Channels, the index of its first one in Starts
	format wire.Format   // of a stream
	wait   time.Duration // of a poll
	skip   string        // the sender whose messages are left out; "": none are

	// repeatable says that an equal request with another cursor, and nothing else, asks
	// for the same from there.
	repeatable bool
}

// parseFunc reads a subscribeRequest from r.
type parseFunc func(r *http.Request, rc *requestContext) (*subscribeRequest, error)

// coding returns how the body of the stream that r asks for is encoded. Streams of one
// channel or pattern share their compressed parts. All others have bytes of their own, and
// an encoder for each connection would cost more than it saves.
func (g *Gateway) coding(r *http.Request, a *admit.Admission, s *subscribeRequest) conn.Coding {
	switch {
	case !g.options.Compress || s.skip != "" || len(a.Starts) != 1 && pubsub.OnePattern(a.Starts) == nil:
		return conn.Plain
	case !web.AcceptsGzip(r.Header):
		return conn.Identity
	}
	return conn.Gzip
}

// admit admits what r asks for, see admit.Controller.Admit.
func (g *Gateway) admit(r *http.Request, rc *requestContext, parse parseFunc) (a *admit.Admission, s *subscribeRequest, err error) {
	a, err = g.admission.Admit(r, &rc.Caller, func() (_ *admit.Subscription, err error) {
		if s, err = parse(r, rc); err != nil {
			return nil, err
		}
		return &s.Subscription, nil
	})
	return a, s, err
}

// parseEvents is the parseFunc of events.
func parseEvents(r *http.Request, rc *requestContext) (*subscribeRequest, error) {
	p, err := parametersOf(r)
	if err != nil {
		return nil, err
	}
	s := &subscribeRequest{format: formatOf(r, p)}
	s.Transport, s.Present = conn.TransportOf(s.format), true
	return s, s.parse(r, p, rc)
}

// parsePoll is the parseFunc of poll. A poll that does not wait is answered
// through net/http.
func parsePoll(r *http.Request, rc *requestContext) (*subscribeRequest, error) {
	p, err := parametersOf(r)
	if err != nil {
		return nil, err
	}
	s := &subscribeRequest{wait: p.wait("wait", defaultWait, rc.policy.Limits.wait())}
	s.Transport, s.Present = conn.OverPoll, s.wait > 0
	if err := s.parse(r, p, rc); err != nil {
		return nil, err
	}
	if rc.Fast && s.wait == 0 {
		return nil, admit.ErrWouldWait
	}
	return s, nil
}

// parse reads `channel`, and where to begin in each of them: after the
// Last-Event-ID header (an EventSource sends it along with the URL it began with,
// so it takes precedence), else after a parameter that stands for it, else after
// `cursor`, else `last` messages ago, else with the next message. An error about
// one channel of several names it.
func (s *subscribeRequest) parse(r *http.Request, p *parameters, rc *requestContext) error {
	channels := slices.Clone(p.Values["channel"])
	slices.Sort(channels)
	s.Channels, s.PerChannel = slices.Compact(channels), p.apart("cursor")
	if len(s.Channels) == 0 {
		return problem(invalidChannel, "The parameter channel is missing: give one or several, as in ?channel=news&channel=chat/1.")
	}
	if limit := rc.policy.Limits.Channels; len(s.Channels) > limit {
		return problem(invalidParameter, "A subscription may have %d channels at most (limits.channels), this has %d.", limit, len(s.Channels))
	}
	for _, channel := range s.Channels {
		if err := s.addStarts(channel, rc); err != nil {
			return err
		}
	}
	if len(s.Starts) > pubsub.MaxCursorChannels {
		return problem(invalidParameter, "The patterns of a subscription may have %d index logs at most, each channel counted as one, and these have %d: ask for fewer, or have smaller numbers as index in the rules under channels.", pubsub.MaxCursorChannels, len(s.Starts))
	}
	s.addExceptions()
	var err error
	if s.skip, err = rc.skipSelf(p, s.Channels); err != nil {
		return err
	}
	return s.parseStarts(lastEventID(r, p), p)
}

// addStarts adds the starts of one channel or pattern, without where they begin.
func (s *subscribeRequest) addStarts(channel string, rc *requestContext) error {
	s.first = append(s.first, len(s.Starts))
	if !pubsub.IsPattern(channel) {
		s.Starts = append(s.Starts, pubsub.Start{Channel: channel})
		return rc.checkSubscribe(channel, pubsub.ValidateChannel(channel))
	}
	pattern, err := rc.policy.pattern(channel)
	if err := rc.checkSubscribe(channel, err); err != nil {
		return err
	}
	s.Starts = append(s.Starts, pubsub.StartsOf(&pubsub.Filter{Pattern: pattern}, pubsub.From{})...)
	return nil
}

// addExceptions has each message come once, also if several patterns match it, or its
// channel is in the subscription too.
func (s *subscribeRequest) addExceptions() {
	var channels []string
	var before []*pubsub.Pattern
	for _, start := range s.Starts {
		if start.Filter == nil {
			channels = append(channels, start.Channel)
		}
	}
	for i := range s.Channels {
		if f := s.Starts[s.first[i]].Filter; f != nil {
			f.Except, f.ExceptPatterns = channels, slices.Clip(before)
			before = append(before, f.Pattern)
		}
	}
}

// of returns the starts of the i-th channel or pattern.
func (s *subscribeRequest) of(i int) []pubsub.Start {
	if i+1 < len(s.first) {
		return s.Starts[s.first[i]:s.first[i+1]]
	}
	return s.Starts[s.first[i]:]
}

// lastEventIDParameters stand for the header Last-Event-ID, for clients that
// cannot set it and add one of them to the URL that they began with: Yaffle's
// polyfill and reconnecting-eventsource; Mercure's clients, current and
// old; Rémy Sharp's polyfill.
var lastEventIDParameters = [...]string{"lastEventId", "lastEventID", "Last-Event-ID", "evs_last_event_id"}

// lastEventID returns the ID of the client's last event, a cursor, from the header
// or a parameter; empty if there is none. Of several values of a parameter the
// last one counts, because it was added last.
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

// checkSubscribe returns a Problem if channel, which may be a pattern, is invalid because
// of err, or rc may not subscribe to it.
func (rc *requestContext) checkSubscribe(channel string, err error) error {
	if err == nil {
		err = rc.MaySubscribe(channel)
	}
	if err == nil {
		return nil
	}
	p := rc.policy.toProblem(err)
	p.Channels = []string{channel}
	return p
}

// parseStarts reads where to begin; lastEventID is empty if there is none.
func (s *subscribeRequest) parseStarts(lastEventID string, p *parameters) (err error) {
	for i, last := range p.each("last", s.Channels) {
		if last != "" {
			s.begin(i, pubsub.From{Last: p.number("last", last, 0, pubsub.MaxPage)})
		}
	}
	cursors := p.each("cursor", s.Channels)
	if p.err != nil {
		return p.err
	}
	if s.PerChannel && lastEventID == "" {
		return s.resumeEach(cursors)
	}
	if lastEventID == "" {
		lastEventID = p.Get("cursor")
		s.repeatable = len(p.Values["cursor"]) == 1 && s.skip == "" && // whose check may change at any time
			!slices.ContainsFunc(s.Starts, func(start pubsub.Start) bool { return start.Filter != nil })
	}
	return s.resume(lastEventID)
}

// earliest is the cursor before the oldest message in the log.
const earliest = "earliest"

// begin has the i-th channel or pattern begin at from.
func (s *subscribeRequest) begin(i int, from pubsub.From) {
	for j := range s.of(i) {
		s.of(i)[j].From = from
	}
}

// resume begins after the one cursor of all channels; empty: where `last` says.
func (s *subscribeRequest) resume(cursor string) error {
	switch cursor {
	case "":
	case earliest:
		for i := range s.Channels {
			s.begin(i, pubsub.From{Earliest: true})
		}
	default:
		return resumeAfter(s.Starts, cursor)
	}
	return nil
}

// resumeAfter has starts begin after a cursor. One that does not fit a pattern may be of
// an index that was another one: its client gets a gap.
func resumeAfter(starts []pubsub.Start, cursor string) error {
	logs, patterns := make([]string, len(starts)), false
	for i, start := range starts {
		logs[i] = start.Channel
		patterns = patterns || start.Filter != nil
	}
	at, err := pubsub.ParseCursorSet(logs, cursor)
	if err != nil && patterns && pubsub.IsCursor(cursor) {
		at, err = slices.Repeat([]pubsub.Cursor{pubsub.LostCursor()}, len(starts)), nil
	}
	if err != nil {
		return err
	}
	for i := range starts {
		starts[i].From = pubsub.From{Cursor: &at[i]}
	}
	return nil
}

// resumeEach begins each channel after a cursor of its own.
func (s *subscribeRequest) resumeEach(cursors []string) error {
	for i, cursor := range cursors {
		switch cursor {
		case "":
		case earliest:
			s.begin(i, pubsub.From{Earliest: true})
		default:
			if resumeAfter(s.of(i), cursor) != nil {
				p := problem(invalidCursor, "The cursor %q of channel %q is not of one channel: use one that Comet gave out for just this channel, or `earliest`.", cursor, s.Channels[i])
				p.Channels = s.Channels[i : i+1]
				return p
			}
		}
	}
	return nil
}

// formatOf returns the encoding that the client asks for. Mistakes are in p.err.
func formatOf(r *http.Request, p *parameters) wire.Format {
	if p.choice("format", "json", "raw") == "raw" {
		return wire.SSERaw
	}
	accept := r.Header["Accept"]
	if len(accept) == 0 || len(accept) == 1 && (accept[0] == wire.SSE.ContentType() || accept[0] == "*/*") {
		return wire.SSE
	}
	sse, lines := unlisted, unlisted
	for _, accepted := range fieldValues(r.Header, "Accept") {
		media, parameters, err := mime.ParseMediaType(accepted)
		if err != nil {
			continue
		}
		weight := weightOf(parameters["q"])
		sse.prefer(media, weight, wire.SSE.ContentType())
		lines.prefer(media, weight, wire.NDJSON.ContentType())
	}
	switch {
	case sse.weight == 0 && lines.weight == 0 && p.err == nil:
		p.err = problem(notAcceptable, "The header Accept refuses text/event-stream and application/x-ndjson, and there is nothing else: accept one of them.")
	case lines.over(sse):
		return wire.NDJSON
	}
	return wire.SSE
}

// preference is how much a client wants a media type.
type preference struct {
	weight   float64 // from 0, refused, to 1
	specific int     // of the range that says so: 1 is any type, 2 any of its kind, 3 the type itself
}

// unlisted is the preference for a type that Accept does not list: it is better
// than a refused one. Most clients that ask for another type take either.
var unlisted = preference{weight: 1e-4}

// prefer sets p to the weight of a media range that includes the type, unless a
// more specific range has set it (RFC 9110 section 12.5.1).
func (p *preference) prefer(mediaRange string, weight float64, mediaType string) {
	kind, _, _ := strings.Cut(mediaType, "/")
	specific := 0
	switch mediaRange {
	case mediaType:
		specific = 3
	case kind + "/*":
		specific = 2
	case "*/*", "*": // the latter is what old Java sends
		specific = 1
	}
	if specific > p.specific {
		*p = preference{weight, specific}
	}
}

// over reports whether p is the better choice. Of equal weights, the more specific
// one is.
func (p preference) over(other preference) bool {
	return p.weight > other.weight || p.weight == other.weight && p.specific > other.specific
}

// weightOf returns the value of a parameter q (RFC 9110 section 12.4.2); 1 if it is
// absent or invalid.
func weightOf(q string) float64 {
	weight, err := strconv.ParseFloat(q, 64)
	if err != nil || !(weight >= 0 && weight <= 1) {
		return 1
	}
	return weight
}
