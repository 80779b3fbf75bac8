package hook

import (
	"encoding/json"
	"net/netip"
)

// Action is what somebody wants to do.
type Action string

// Every action.
const (
	Subscribe Action = "subscribe"
	Publish   Action = "publish"
)

// Question is whether somebody may do something.
type Question struct {
	Action   Action
	User     string     // "": no token
	Key      string     // name of a back end's key; "": none
	Channels []string   // at least one; all or nothing
	Address  netip.Addr // of the client
}

// identity is whom an answer is remembered for: the user, else the key, else the
// address. A user may come from many addresses, but of somebody unknown the
// address is all that the application can judge by.
type identity struct {
	user, key string
	address   netip.Addr
}

func (q *Question) identity() identity {
	if q.User == "" && q.Key == "" {
		return identity{address: q.Address}
	}
	return identity{user: q.User, key: q.Key}
}

// body is the question as it is sent. One channel is in channel, several are in
// channels and then channel is absent, so that who looks only there does not
// answer for the rest.
func (q *Question) body(node string) []byte {
	sent := struct {
		Action   Action     `json:"action"`
		User     string     `json:"user"`
		Key      string     `json:"key"`
		Channel  string     `json:"channel,omitempty"`
		Channels []string   `json:"channels,omitempty"`
		Address  netip.Addr `json:"address"`
		Node     string     `json:"node"`
	}{Action: q.Action, User: q.User, Key: q.Key, Address: q.Address, Node: node}
	if len(q.Channels) == 1 {
		sent.Channel = q.Channels[0]
	} else {
		sent.Channels = q.Channels
	}
	body, err := json.Marshal(sent)
	if err != nil {
		panic(err) // only our own types come here
	}
	return body
}
