package gateway

import (
	"net/http"
	"time"

	"comet/gateway/conn"
)

// defaultWait is how long a poll waits that does not say.
const defaultWait = 25 * time.Second

// getPoll: GET /v1/poll
func getPoll(g *Gateway, w http.ResponseWriter, r *http.Request, rc *requestContext) error {
	a, s, err := g.admit(r, rc, parsePoll)
	if err != nil {
		return err
	}
	defer a.Close()
	a.Begin()
	return g.options.Holder.HoldPoll(w, a.Request, &conn.Poll{
		Subscriber: a.Subscriber,
		Cursors:    a.Cursors,
		Wait:       s.wait,
		Skip:       s.skip,
		Session:    a.Bounds(),
		Replay:     a.Replay,
		Ended:      a.Session.EndFunc(),
		NextPoll:   g.fastPoll,
	})
}
