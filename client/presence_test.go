package client

import (
	"errors"
	"testing"

	"comet/gateway/wire"
	"comet/pubsub"
)

func TestPresence(t *testing.T) {
	page := &wire.Presence{Channel: "chat/42", Count: 3, Users: []pubsub.Member{{User: "a b"}, {User: "c"}}, Next: "c"}
	withNodes(t, func(t *testing.T, n *nodes) {
		got, err := n.client.Presence(t.Context(), "chat/42", PresenceOptions{After: "a&", Limit: 2})
		if err != nil || got.Count != 3 || len(got.Users) != 2 || got.Users[0].User != "a b" || got.Next != "c" {
			t.Errorf("got %+v, %v", got, err)
		}
		if got := n.requests()[0].RequestURI; got != "/v1/channels/chat%2F42/presence?after=a%26&limit=2" {
			t.Error(got)
		}
		_, err = n.client.Presence(t.Context(), "..", PresenceOptions{})
		if problem, ok := errors.AsType[*ProblemError](err); !ok || problem.Status != 503 {
			t.Errorf("got %v", err)
		}
		if _, err = n.client.Presence(t.Context(), "a", PresenceOptions{}); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("got %v", err)
		}
		if _, err = n.client.Presence(t.Context(), "", PresenceOptions{}); err == nil {
			t.Error("no error for no channel")
		}
	}, ok(string(page.AppendJSON(nil))), unavailable("9"), ok("{}"))
}
