package gateway

import (
	"context"
	"strings"

	"comet/gateway/conn"
	"comet/gateway/hook"
	"comet/gateway/wire"
)

// ask asks the application, if it wants to be, whether v may do something with
// the channels.
func (g *Gateway) ask(ctx context.Context, v *visit, action hook.Action, channels ...string) error {
	if g.options.Asker == nil {
		return nil
	}
	return g.options.Asker.Allowed(ctx, questionOf(v, action, channels))
}

// askAtOnce is ask for the door: false if the answer is no, or not known yet.
func (g *Gateway) askAtOnce(v *visit, channels []string) bool {
	if g.options.Asker == nil {
		return true
	}
	allowed, known := g.options.Asker.AtOnce(questionOf(v, hook.Subscribe, channels))
	return known && allowed
}

func questionOf(v *visit, action hook.Action, channels []string) hook.Question {
	return hook.Question{Action: action, User: v.User, Key: v.Key, Channels: channels, Address: v.client.Address}
}

// streamed tells the application of a stream that begins, and returns what to
// call when it is over, besides release. Polls come and go too often to be told.
func (g *Gateway) streamed(v *visit, f wire.Format) (ended func(conn.Bye)) {
	events := g.options.Events
	if events == nil {
		return v.policy.seats.releaser(v.client)
	}
	client, user, seats, transport := v.client, v.User, v.policy.seats, transportOf(f)
	events.Connected(user, transport)
	return func(why conn.Bye) {
		seats.release(client)
		events.Disconnected(user, transport, string(why))
	}
}

// transportOf is what a stream comes by, in one word.
func transportOf(f wire.Format) string {
	if f == wire.NDJSON {
		return "ndjson"
	}
	return "sse"
}

// Opened and Closed are for pubsub.Options, to tell events of channels; of the
// nodes' own channels they tell nothing.
func Opened(events *hook.Events) func(channel string) { return besidesOwn(events.FirstSubscriber) }

// Closed is Opened's counterpart.
func Closed(events *hook.Events) func(channel string) { return besidesOwn(events.LastSubscriberLeft) }

func besidesOwn(tell func(channel string)) func(channel string) {
	return func(channel string) {
		if !strings.HasPrefix(channel, reserved) {
			tell(channel)
		}
	}
}
