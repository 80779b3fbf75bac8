package servertest

import (
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// WantPresence waits for the next event of a stream, and wants it to be a join or
// leave, as "+alice" or "-alice".
func WantPresence(t testing.TB, events *wire.Reader, want string) {
	t.Helper()
	e := NextEvent(t, events)
	if e.Message == nil {
		t.Fatalf("got %+v, want %s", e, want)
	}
	kind := map[byte]string{'+': pubsub.JoinType, '-': pubsub.LeaveType}[want[0]]
	if data := string(e.Message.Data); e.Message.Type != kind || data != `{"user":"`+want[1:]+`"}` {
		t.Fatalf("got %s %s, want %s", e.Message.Type, data, want)
	}
}

// WantUsers wants these users, in order, in the presence of a channel.
func WantUsers(t testing.TB, url, channel string, want ...string) {
	t.Helper()
	body := Body(t, Get(t, url+"/v1/channels/"+channel+"/presence?access_token="+Token(t, "x", -time.Minute)))
	p, err := wire.ParsePresence([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	var users []string
	for _, m := range p.Users {
		users = append(users, m.User)
	}
	if got := strings.Join(users, " "); got != strings.Join(want, " ") || p.Count != len(want) {
		t.Errorf("%d users %q, want %q", p.Count, got, want)
	}
}
