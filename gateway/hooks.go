package gateway

import (
	"context"
	"strings"

	"comet/gateway/conn"
	"comet/gateway/hook"
)

// ask asks the application, if it wants to be, whether v may do something with
// the channels.
func (g *Gateway) ask(ctx context.Context, v *visit, action hook.Action, channels ...string) error {
	if g.options.Asker == nil || v.operator {
		return nil
	}
	return g.options.Asker.Allowed(ctx, questionOf(v, action, channels))
}

// askOnceEach is ask for the messages of a batch: about each channel once,
// however many there are.
func (g *Gateway) askOnceEach(ctx context.Context, v *visit, action hook.Action) func(channel string) error {
	answers := make(map[string]error)
	return func(channel string) error {
		answer, known := answers[channel]
		if !known {
			answer = g.ask(ctx, v, action, channel)
			answers[channel] = answer
		}
		return answer
	}
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

// tells reports whether the application hears of what comes by t. Polls come and
// go too often for that.
func (g *Gateway) tells(t conn.Transport) bool {
	return g.options.Events != nil && t != conn.OverPoll
}

// told is over, of which it also tells the application.
func (g *Gateway) told(v *visit, t conn.Transport, over func(conn.CloseReason)) func(conn.CloseReason) {
	events, user := g.options.Events, v.User
	return func(why conn.CloseReason) {
		over(why)
		defer g.recoverFrom("ended")
		if why != conn.FellBack {
			events.Disconnected(user, t.String(), string(why))
		}
	}
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
