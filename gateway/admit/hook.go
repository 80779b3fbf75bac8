package admit

import (
	"strings"

	"comet/gateway/hook"
	"comet/pubsub"
)

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
