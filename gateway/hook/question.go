package hook

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
)

// Action is what a client asks to do.
type Action string

// Every action.
const (
	Subscribe Action = "subscribe"
	Publish   Action = "publish"
	Service   Action = "service" // a message for the application itself, see Asker.Service
)

// Question asks whether a client may do something.
type Question struct {
	Action   Action
	User     string          // "": no token
	Key      string          // name of an API key; "": no key
	From     string          // the sender of what is published; "": none. It follows from User and Key
	Channels []string        // at least one; all are allowed, or none
	Address  netip.Addr      // of the client
	Data     json.RawMessage // of Service; else nil

	// Headers are those of the request that Asker.Headers picks. They may be
	// secrets: never log them.
	Headers map[string]string
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

// Headers returns those of h that AskerOptions.Headers names, for Question.Headers;
// nil if h has none. The names are written as in the options. Several lines of a
// field are one value, as in HTTP/2 (RFC 9110 section 5.3, RFC 9113 section 8.2.3).
func (a *Asker) Headers(h http.Header) map[string]string {
	var picked map[string]string
	for _, name := range a.options.Headers {
		lines := h.Values(name)
		if len(lines) == 0 {
			continue
		}
		separator := ", "
		if strings.EqualFold(name, "Cookie") {
			separator = "; "
		}
		if picked == nil {
			picked = make(map[string]string, len(a.options.Headers))
		}
		picked[name] = strings.Join(lines, separator)
	}
	return picked
}

// sum is the SHA-256 of some headers; zero for none. The cache has it instead of
// them, since they may be long, and secret.
type sum [sha256.Size]byte

// headersSum returns the sum of the headers of q, in the order of names.
func (q *Question) headersSum(names []string) (s sum) {
	if len(q.Headers) == 0 {
		return s
	}
	hash := sha256.New()
	for i, name := range names {
		value, ok := q.Headers[name]
		if !ok {
			continue
		}
		var at [8]byte // which header, and its length: what follows cannot be taken for a part of it
		binary.BigEndian.PutUint32(at[:], uint32(i))
		binary.BigEndian.PutUint32(at[4:], uint32(len(value)))
		hash.Write(at[:])
		hash.Write([]byte(value))
	}
	hash.Sum(s[:0])
	return s
}

// body returns the question as JSON. One channel is in channel. Several are in
// channels, and channel is absent, so that an application that reads only channel
// does not answer for the others.
func (q *Question) body(node string) []byte {
	sent := struct {
		Action   Action          `json:"action"`
		User     string          `json:"user"`
		Key      string          `json:"key"`
		From     string          `json:"from,omitempty"`
		Channel  string          `json:"channel,omitempty"`
		Channels []string        `json:"channels,omitempty"`
		Address  netip.Addr      `json:"address"`
		Node     string          `json:"node"`
		Data     json.RawMessage `json:"data,omitempty"`

		Headers map[string]string `json:"headers,omitempty"`
	}{Action: q.Action, User: q.User, Key: q.Key, From: q.From, Address: q.Address, Node: node, Data: q.Data, Headers: q.Headers}
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
