package gateway

import (
	"net/http"
	"time"

	"comet/gateway/conn"
)

// defaultWait is how long a poll waits that does not say.
const defaultWait = 25 * time.Second

// poll: GET /v1/poll
func (g *Gateway) poll(w http.ResponseWriter, r *http.Request) error {
	p, err := parametersOf(r)
	if err != nil {
		return err
	}
	wait := p.wait("wait", defaultWait, visitOf(r).policy.Limits.wait())
	s, err := g.subscribe(r, p)
	if err != nil {
		return err
	}
	defer g.end(s)
	g.began(r, s.visit, conn.OverPoll)
	ended := g.over(r, s.visit, conn.OverPoll)
	if wait > 0 { // else it only looks in
		ended = g.present(s.visit, s.channels, ended)
	}
	s.held = true
	return g.options.Holder.HoldPoll(w, s.request, &conn.Poll{
		Subscriber: s.subscriber,
		Cursors:    s.cursors,
		Wait:       wait,
		Session:    s.session,
		Replay:     s.replay,
		Ended:      ended,
		NextPoll:   g.pollAtOnce,
	})
}
