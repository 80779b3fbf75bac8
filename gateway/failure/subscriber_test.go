package failure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"comet/client"
	"comet/gateway/wire"
	"comet/pubsub"
)

// form is the transport and encoding of a subscriber.
type form string

const (
	sse    form = "sse"
	ndjson form = "ndjson"
	poll   form = "poll"
)

// subscriber subscribes to channels in one session after another, each at other
// nodes and with the last cursor of the one before. It is for one goroutine.
type subscriber struct {
	name     string
	form     form
	asked    []string // for the nodes: channels, or a pattern
	channels []string // sorted; the index logs of a pattern
	pattern  string   // "": none
	from     string   // cursor of its first session
	urls     []string // of the nodes
	http     *http.Client
	random   *rand.Rand
	start    time.Time // of the round
	logger   *slog.Logger

	cursor  string
	session string // its name in notes
	begun   bool
	at      map[string]pubsub.ID // of the last event
	held    []*pubsub.Gap        // of the poll's current answer
	got     map[string][]happening
	ends    map[string]bool // channels with a received last message
	wrong   []string
}

// run subscribes and disconnects until churn ends. Then it stays until it has the
// last message of each channel, or ctx ends.
func (s *subscriber) run(churn, ctx context.Context) {
	for n := 0; ctx.Err() == nil && len(s.ends) < len(s.channels); n++ {
		stay := upTo(s.random, 3*time.Second)
		if s.random.IntN(4) == 0 {
			stay *= 10
		}
		here, leave := context.WithTimeout(churn, stay)
		if churn.Err() != nil {
			here, leave = context.WithCancel(ctx)
		}
		s.subscribe(here, n)
		leave()
		away := upTo(s.random, 200*time.Millisecond)
		if s.random.IntN(8) == 0 {
			away *= 20
		}
		pause(churn, away)
	}
}

// subscribe runs one session.
func (s *subscriber) subscribe(ctx context.Context, n int) {
	urls := slices.Clone(s.urls)
	s.random.Shuffle(len(urls), func(i, j int) { urls[i], urls[j] = urls[j], urls[i] })
	s.session = fmt.Sprintf("session %d", n)
	var err error
	if s.form == ndjson {
		err = s.lines(ctx, urls[0])
	} else {
		err = s.viaClient(ctx, urls)
	}
	if isRefusal(err) {
		s.fail("%v", err)
	}
}

func (s *subscriber) fail(format string, args ...any) {
	s.wrong = append(s.wrong, fmt.Sprintf("%s %s: ", s.name, s.note())+fmt.Sprintf(format, args...))
}

func (s *subscriber) note() string {
	return fmt.Sprintf("%.3fs %s", time.Since(s.start).Seconds(), s.session)
}

func (s *subscriber) viaClient(ctx context.Context, urls []string) error {
	c, err := client.New(client.Options{URLs: urls, HTTPClient: s.http, Logger: s.logger})
	if err != nil {
		return err
	}
	o := client.SubscribeOptions{Channels: s.asked, Cursor: s.resume(), Poll: s.form == poll, Wait: time.Second, Idle: 4 * time.Second}
	for e, err := range c.Subscribe(ctx, o) {
		if err != nil {
			return err
		}
		if done := s.take(e); done {
			break
		}
	}
	return nil
}

func (s *subscriber) resume() string {
	if s.cursor == "" {
		return s.from
	}
	return s.cursor
}

// lines reads one stream of NDJSON to its end.
func (s *subscriber) lines(ctx context.Context, node string) error {
	query := url.Values{"channel": s.asked}
	if cursor := s.resume(); cursor != "" {
		query.Set("cursor", cursor)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, node+"/v1/events?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", wire.NDJSON.ContentType())
	answer, err := s.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return &client.ProblemError{Status: answer.StatusCode, Detail: string(text)}
	}
	events := wire.NewReader(answer.Body, wire.NDJSON)
	for {
		e, err := events.Next()
		if err != nil {
			return err
		}
		if done := s.take(e); done {
			return nil
		}
	}
}

// isRefusal reports whether a retry would not help.
func isRefusal(err error) bool {
	problem, ok := errors.AsType[*client.ProblemError](err)
	return ok && problem.Status < 500 && problem.Status != http.StatusTooManyRequests && problem.Status != http.StatusRequestTimeout ||
		errors.Is(err, wire.ErrMalformed)
}

// take records an event. done reports that the last message of every channel has arrived.
func (s *subscriber) take(e wire.Event) (done bool) {
	moved := e.Cursor != s.cursor
	var at []pubsub.Cursor
	if moved {
		var err error
		if at, err = pubsub.ParseCursorSet(s.channels, e.Cursor); err != nil {
			s.fail("cursor %q: %v", e.Cursor, err)
			return false
		}
	}
	switch e.Kind {
	case wire.KindReady:
		s.ready(e, at)
	case wire.KindGap:
		s.gap(s.ofLog(e.Gap, at), at)
	case wire.KindMessage:
		s.message(e.Message, at)
	}
	if moved {
		s.release(func(*pubsub.Gap) bool { return true }, at)
		s.startChannels(at)
		s.cursor = e.Cursor
	}
	return len(s.ends) == len(s.channels)
}

// ofLog returns a gap with the log that it is of. A pattern's gap is of the index log
// whose cursor has moved.
func (s *subscriber) ofLog(g *pubsub.Gap, at []pubsub.Cursor) *pubsub.Gap {
	if s.pattern == "" {
		return g
	}
	if g.Channel != s.pattern {
		s.fail("a gap of %s", g.Channel)
	}
	of := *g
	of.Channel = s.channels[0]
	old, err := pubsub.ParseCursorSet(s.channels, s.cursor)
	for i := range at {
		if err == nil && len(at) > 1 && at[i] != old[i] {
			of.Channel = s.channels[i]
		}
	}
	return &of
}

// ready begins a session, at the cursor where the last one ended.
func (s *subscriber) ready(e wire.Event, at []pubsub.Cursor) {
	switch {
	case s.begun && at != nil && s.form != poll && s.moved(at): // a poll may have found an empty log meanwhile
		s.fail("it resumes from %q, and the answer begins at %q", s.cursor, e.Cursor)
		return
	case s.begun:
		return
	}
	s.begun = true
	if at != nil {
		s.startChannels(at)
	}
}

// moved reports whether at is elsewhere than s.cursor. On an empty log a later
// cursor is the same place.
func (s *subscriber) moved(at []pubsub.Cursor) bool {
	old, err := pubsub.ParseCursorSet(s.channels, s.cursor)
	return err != nil || !slices.EqualFunc(old, at, func(a, b pubsub.Cursor) bool { return a.Last() == b.Last() && a.Epoch == b.Epoch })
}

// startChannels starts the channels without an event so far, at their cursors. The
// answer to a poll with events has only the cursor after them.
func (s *subscriber) startChannels(at []pubsub.Cursor) {
	for i, channel := range s.channels {
		if len(s.got[channel]) == 0 {
			s.at[channel] = at[i].Last()
			s.add(channel, happening{kind: started, after: at[i]})
		}
	}
}

// gap adds a gap at its place in the order. In the answer to a poll gaps come first.
func (s *subscriber) gap(g *pubsub.Gap, at []pubsub.Cursor) {
	placed := len(s.got[g.Channel]) > 0
	if s.form == poll && placed && g.From != s.at[g.Channel] {
		s.held = append(s.held, g)
		return
	}
	s.addGap(g, at)
}

func (s *subscriber) addGap(g *pubsub.Gap, at []pubsub.Cursor) {
	h := happening{kind: gotGap, gap: *g, after: s.cursorAfter(g.Channel, g.To, at)}
	s.at[g.Channel] = g.To
	s.add(g.Channel, h)
}

func (s *subscriber) message(m *pubsub.Message, at []pubsub.Cursor) {
	if s.pattern != "" && !strings.HasPrefix(m.Channel, strings.TrimSuffix(s.pattern, "*")) {
		s.fail("message %v is of %s", m.ID, m.Channel)
	}
	channel := logOf(m.Channel)
	var data payload
	if err := json.Unmarshal(m.Data, &data); err != nil {
		s.fail("message %v: %v", m.ID, err)
	}
	h := happening{kind: gotMessage, id: m.ID, key: data.Key, after: s.cursorAfter(channel, m.ID, at)}
	if at != nil && s.form != poll && h.after != pubsub.CursorAfter(m.ID) {
		s.fail("message %v of %s has the cursor %v", m.ID, channel, h.after)
	}
	s.at[channel] = m.ID
	s.add(channel, h)
	if data.Key == lastKey(channel) {
		s.ends[channel] = true
	}
	s.release(func(g *pubsub.Gap) bool { return g.Channel == channel && g.From == m.ID }, at)
}

// release adds the held gaps that are due.
func (s *subscriber) release(due func(*pubsub.Gap) bool, at []pubsub.Cursor) {
	var later []*pubsub.Gap
	for _, g := range s.held {
		if due(g) {
			s.addGap(g, at)
		} else {
			later = append(later, g)
		}
	}
	s.held = later
}

// cursorAfter returns the cursor after an event that ends at id. It has no epoch
// if there is no cursor, or if that is of a later event in the answer to a poll.
func (s *subscriber) cursorAfter(channel string, id pubsub.ID, at []pubsub.Cursor) pubsub.Cursor {
	i := slices.Index(s.channels, channel)
	if at == nil || i < 0 || s.form == poll && at[i].Last() != id {
		return pubsub.Cursor{ID: id}
	}
	return at[i]
}

func (s *subscriber) add(channel string, h happening) {
	h.note = s.note()
	if h.kind != started && len(s.got[channel]) == 0 {
		s.got[channel] = append(s.got[channel], happening{kind: startedSomewhere, note: h.note})
	}
	s.got[channel] = append(s.got[channel], h)
}

// lastKey is the key of a channel's last message in a round.
func lastKey(channel string) string { return "last-" + channel }
