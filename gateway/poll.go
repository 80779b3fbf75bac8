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
	s, err := g.subscriptionOf(r, p)
	if err != nil {
		return err
	}
	release, err := g.admit()
	if err != nil {
		return err
	}
	ctx, cancel := g.whileHere(r)
	defer cancel()
	subscriber, err := g.options.Hub.Subscribe(ctx, s.starts)
	if err != nil {
		release()
		return err
	}
	return g.options.Holder.HoldPoll(w, r.WithContext(ctx), &conn.Poll{
		Subscriber: subscriber,
		Cursors:    pubsub.NewCursorSet(s.channels, subscriber.Start()),
		Wait:       wait,
		Leaving:    errLeaving,
		Ended:      release,
	})
}
