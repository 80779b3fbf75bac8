package hook

import (
	"encoding/json"
	"net/netip"
)

// Action is what a client asks to do.
type Action string

// Every action.
const (
	Subscribe Action = "subscribe"
	Publish   Action = "publish"
)

// Question asks whether a client may do something.
type Question struct {
	Action   Action
	User     string     // "": no token
	Key      string     // name of an API key; "": no key
	Channels []string   // at least one; all are allowed, or none
	Address  netip.Addr // of the client
}

// identity is the client that an answer is cached for: the user, else the key, else
// the address. A user may have many addresses. Of an anonymous client, the
// application knows only the address.
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

// body returns the question as JSON. One channel is in channel. Several are in
// channels, and channel is absent, so that an application that reads only channel
// does not answer for the others.
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
		panic(err) // the struct above can always be marshalled
	}
	return body
}
