package bayeux

import (
	"context"
	"slices"
	"strconv"

	"comet/gateway/admit"
	"comet/gateway/hook"
	"comet/pubsub"
)

// subscribe adds channels to a session: all of the message, or none.
func (e *exchange) subscribe(m message, r *reply) error {
	r.subscription = m["subscription"]
	clientID, st, caller, err := e.session(e.r.Context(), m)
	if err != nil {
		return err
	}
	channels, err := e.subscriptions(m)
	if err != nil {
		return err
	}
	for _, channel := range channels {
		if err := e.maySubscribe(caller, channel); err != nil {
			return err
		}
	}
	if err := e.server.options.Admission.AskHook(e.r.Context(), caller, hook.Subscribe, channels...); err != nil {
		return err
	}
	at := make(map[string][]pubsub.Cursor)
	for _, channel := range channels {
		if st.find(channel) != nil {
			continue
		}
		if at[channel], err = e.server.ends(e.r.Context(), channel); err != nil {
			return err
		}
	}
	limit := e.server.options.Limits().Channels
	err = e.changeSession(clientID, st, func(next *state) error {
		for channel, cursors := range at {
			next.add(channel, cursors)
		}
		if len(next.channels) > limit {
			return &fault{code: 403, arguments: argumentsOf(m), text: "a session may have " + strconv.Itoa(limit) + " subscriptions at most (limits.channels)"}
		}
		return nil
	})
	r.clientID = clientID
	return err
}

// maySubscribe returns the fault of a caller that may not subscribe to a channel.
func (e *exchange) maySubscribe(caller *admit.Caller, channel string) error {
	_, err := e.server.logsOf(channel)
	if err == nil {
		err = caller.MaySubscribe(channel)
	}
	if err == nil {
		return nil
	}
	return e.server.fault(err, e.server.nameOf(channel))
}

// ends returns the cursors at the ends of the logs of a channel or pattern.
func (s *Server) ends(ctx context.Context, channel string) ([]pubsub.Cursor, error) {
	logs, err := s.logsOf(channel)
	if err != nil {
		return nil, err
	}
	at := make([]pubsub.Cursor, len(logs))
	for i, log := range logs {
		page, err := s.options.Hub.Read(ctx, pubsub.Query{Channel: log})
		if err != nil {
			return nil, err
		}
		at[i] = page.EndCursor()
	}
	return at, nil
}

// unsubscribe removes channels from a session.
func (e *exchange) unsubscribe(m message, r *reply) error {
	r.subscription = m["subscription"]
	clientID, st, _, err := e.session(e.r.Context(), m)
	if err != nil {
		return err
	}
	channels, err := e.subscriptions(m)
	if err != nil {
		return err
	}
	r.clientID = clientID
	return e.changeSession(clientID, st, func(next *state) error {
		for _, channel := range channels {
			next.remove(channel)
		}
		return nil
	})
}

// subscriptions returns the channels in the field subscription, without repetitions.
func (e *exchange) subscriptions(m message) ([]string, error) {
	names, ok := m.texts("subscription")
	if !ok || len(names) == 0 {
		return nil, &fault{code: 400, text: "subscription is missing: send a channel, or an array of channels"}
	}
	var channels []string
	for _, name := range names {
		switch _, _, glob := cutGlob(name); {
		case isMeta(name), isService(name):
			return nil, &fault{code: 403, arguments: name, text: "meta and service channels are private"}
		case !glob && !validName(name):
			return nil, &fault{code: 400, arguments: name, text: "invalid channel name"}
		}
		channels = append(channels, e.server.channelOf(name))
	}
	slices.Sort(channels)
	return slices.Compact(channels), nil
}
