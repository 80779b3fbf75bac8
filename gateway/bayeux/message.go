package bayeux

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// message is one message of a request, by its fields. The names are case-sensitive, as
// those of encoding/json's structs are not.
type message map[string]json.RawMessage

// text returns a field that is a string; ok is false if it is absent or something else.
func (m message) text(name string) (value string, ok bool) {
	raw := m[name]
	if n := len(raw); n >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : n-1]), true // which is valid, as part of a valid text
	}
	var p *string
	if raw == nil || json.Unmarshal(raw, &p) != nil || p == nil {
		return "", false
	}
	return *p, true
}

func (m message) channel() string { name, _ := m.text("channel"); return name }

// id returns the message's ID as it was sent, for the reply; nil without one. It may be a
// number, which the specification does not have and some clients send.
func (m message) id() json.RawMessage {
	raw := m["id"]
	if len(raw) == 0 || len(raw) > maxID || raw[0] != '"' && raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return nil
	}
	return raw
}

// maxID is the longest ID that is repeated in a reply, in bytes of JSON.
const maxID = 256

// object returns a field that is an object; nil if it is absent or something else.
func (m message) object(name string) message {
	var o message
	if raw := m[name]; raw == nil || json.Unmarshal(raw, &o) != nil {
		return nil
	}
	return o
}

// number returns a field that is a number of 0 or more.
func (m message) number(name string) (n int64, ok bool) {
	var p *float64
	if raw := m[name]; raw == nil || json.Unmarshal(raw, &p) != nil || p == nil || *p < 0 || *p > 1<<53 {
		return 0, false
	}
	return int64(*p), true
}

// token returns the token in the message: ext.token or, as CometD's documentation names
// it, ext.authentication.token.
func (m message) token() string {
	ext := m.object("ext")
	if token, ok := ext.text("token"); ok {
		return token
	}
	token, _ := ext.object("authentication").text("token")
	return token
}

// texts returns a field that is a string or an array of strings.
func (m message) texts(name string) (values []string, ok bool) {
	if value, ok := m.text(name); ok {
		return []string{value}, true
	}
	var list []*string
	if raw := m[name]; raw == nil || json.Unmarshal(raw, &list) != nil {
		return nil, false
	}
	for _, value := range list {
		if value == nil {
			return nil, false
		}
		values = append(values, *value)
	}
	return values, true
}

// advice tells a client how to go on.
type advice struct {
	reconnect string // retry, handshake or none
	interval  time.Duration
	bare      bool // only reconnect is sent
}

// reply is the answer to one message.
type reply struct {
	channel      string
	id           json.RawMessage // nil: none
	clientID     string          // empty: absent
	err          *fault          // nil: successful
	subscription json.RawMessage // nil: absent
	advice       *advice
	ack          int64 // ext.ack; negative: absent
	acks         bool  // ext.ack is true, as in a handshake
	handshake    bool  // version and connection types are sent
	events       []byte
}

// fault is why a message was not successful. It becomes `code:arguments:text`.
type fault struct {
	code      int
	arguments string
	text      string
	advice    *advice
	retry     time.Duration // how long to wait before the next attempt; 0: not known
}

func (f *fault) Error() string { return string(f.append(nil)) }

// append appends the error field. Characters that the specification does not allow in it
// are left out, so that clients can parse it.
func (f *fault) append(b []byte) []byte {
	b = strconv.AppendInt(b, int64(f.code), 10)
	b = append(appendPlain(append(b, ':'), f.arguments, ","), ':')
	return appendPlain(b, f.text, "")
}

func appendPlain(b []byte, text, more string) []byte {
	for _, r := range text {
		if nameRune(r) || strings.ContainsRune(" /*"+more, r) {
			b = append(b, byte(r))
		}
	}
	return b
}

// connectionTypes are those that the server supports.
const connectionTypes = `["long-polling","callback-polling"]`

// appendReply appends a reply, after its events.
func (s *Server) appendReply(b []byte, r *reply) []byte {
	if len(r.events) > 0 {
		b = append(append(b, r.events...), ',')
	}
	b = append(b, '{')
	if r.id != nil {
		b = append(append(append(b, `"id":`...), r.id...), ',')
	}
	if r.channel != "" {
		b = append(appendString(append(b, `"channel":`...), r.channel), ',')
	}
	if r.err == nil {
		b = append(b, `"successful":true`...)
	} else {
		b = append(r.err.append(append(b, `"successful":false,"error":"`...)), '"')
	}
	if r.clientID != "" {
		b = append(append(append(b, `,"clientId":"`...), r.clientID...), '"')
	}
	if r.handshake {
		b = append(b, `,"version":"1.0","minimumVersion":"1.0","supportedConnectionTypes":`+connectionTypes...)
		if r.err == nil {
			b = append(b, `,"authSuccessful":true`...)
		}
	}
	if r.subscription != nil {
		b = append(append(b, `,"subscription":`...), r.subscription...)
	}
	if r.acks {
		b = append(b, `,"ext":{"ack":true}`...)
	} else if r.ack >= 0 {
		b = append(strconv.AppendInt(append(b, `,"ext":{"ack":`...), r.ack, 10), '}')
	}
	advice := r.advice
	if r.err != nil && r.err.advice != nil {
		advice = r.err.advice
	}
	return append(s.appendAdvice(b, advice), '}')
}

// appendAdvice appends the member advice; nothing for nil.
func (s *Server) appendAdvice(b []byte, a *advice) []byte {
	if a == nil {
		return b
	}
	b = append(append(append(b, `,"advice":{"reconnect":"`...), a.reconnect...), '"')
	if !a.bare {
		b = strconv.AppendInt(append(b, `,"interval":`...), max(a.interval, s.options.Interval).Milliseconds(), 10)
		b = strconv.AppendInt(append(b, `,"timeout":`...), s.options.Timeout.Milliseconds(), 10)
		b = strconv.AppendInt(append(b, `,"maxInterval":`...), s.options.MaxInterval.Milliseconds(), 10)
	}
	return append(b, '}')
}

// appendString appends s as a JSON string. Line separators are escaped, so that the text
// is also a script.
func appendString(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can be marshalled
	}
	return append(b, text...)
}
