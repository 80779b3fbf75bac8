package gateway

import (
	"net/http"
	"time"

	"comet/gateway/conn"
	"comet/pubsub"
)

// defaultWait is how long a poll waits that does not say.
const defaultWait = 25 * time.Second

// poll: GET /v1/poll
func (g *Gateway) poll(w http.ResponseWriter, r *http.Request) error {
	p, err := parametersOf(r)
	if err != nil {
		return err
	}
	wait := p.wait("wait", defaultWait, g.options.Limits.Wait)
	s, err := g.subscribe(r, p)
	if err != nil {
		return err
	}
	defer s.cancel()
	return g.options.Holder.HoldPoll(w, s.request, &conn.Poll{
		Subscriber: s.subscriber,
		Cursors:    s.cursors,
		Wait:       wait,
		Leaving:    errLeaving,
		Ended:      g.release,
		Again:      g.pollAgain,
	})
}

// pollAgain is conn.Again: it lets in a poll that goes on where the tails
// still are, after the same checks as any other.
func (g *Gateway) pollAgain(r *http.Request) (next conn.NextPoll, ok bool) {
	if r.Method != http.MethodGet || r.URL.Path != "/v1/poll" {
		return next, false
	}
	p, err := parametersOf(r)
	if err != nil {
		return next, false
	}
	next.Wait = p.wait("wait", defaultWait, g.options.Limits.Wait)
	channels, starts, err := g.startsOf(r, p)
	if err != nil || g.admit() != nil {
		return next, false
	}
	at := make([]pubsub.Cursor, len(starts))
	for i, start := range starts {
		var c *pubsub.Channel
		var place uint64
		if at := start.From.Cursor; at != nil {
			c, place, ok = g.options.Hub.Attach(start.Channel, *at)
		}
		if c == nil || !ok {
			next.Release()
			g.release()
			return next, false
		}
		at[i] = *start.From.Cursor
		next.Channels, next.Places = append(next.Channels, c), append(next.Places, place)
	}
	next.Cursors = pubsub.NewCursorSet(channels, at)
	return next, true
}
