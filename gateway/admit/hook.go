package admit

import (
	"context"
	"strings"

	"comet/gateway/hook"
	"comet/pubsub"
)

// AskHook returns nil if the application allows an action in the channels, or is
// not asked. A denial on the fast path is ErrWouldWait, so that net/http reports
// it.
func (c *Controller) AskHook(ctx context.Context, caller *Caller, action hook.Action, channels ...string) error {
	if c.options.Asker == nil || caller.Operator {
		return nil
	}
	question := hook.Question{Action: action, User: caller.User, Key: caller.Key, Channels: channels, Address: caller.Client.Address}
	if !caller.Fast {
		return c.options.Asker.Allowed(ctx, question)
	}
	if allowed, known := c.options.Asker.AtOnce(question); !known || !allowed {
		return ErrWouldWait
	}
	return nil
}

// Opened and Closed are for pubsub.Options, to tell events of channels; of the
// nodes' own channels they tell nothing.
func Opened(events *hook.Events) func(channel string) { return besidesOwn(events.FirstSubscriber) }

// Closed is Opened's counterpart.
func Closed(events *hook.Events) func(channel string) { return besidesOwn(events.LastSubscriberLeft) }

func besidesOwn(tell func(channel string)) func(channel string) {
	return func(channel string) {
		if !strings.HasPrefix(channel, pubsub.ControlPrefix) {
			tell(channel)
		}
	}
}
