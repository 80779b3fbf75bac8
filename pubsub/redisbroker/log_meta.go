package redisbroker

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"comet/pubsub"
)

// meta is what a message of version 2 has besides prev, type, data and trace. As JSON it
// is a field of the log's entry, and a part of the relay's payload:
//
//	{"v":2,"from":"alice","tags":{"room":"42"}}
//
// A message that has nothing to put here is of version 1: it has no meta, and costs not a
// byte more. Readers ignore members that they do not know, so a later version may add
// some. It raises v only for messages that a reader of this version would misread: such a
// message is unreadable here.
//
// Nodes of version 1 may run on the same Redis, during a rollout. They ignore the field of
// the entry. For the relay see publish.lua and encodeEphemeral.
type meta struct {
	Version int         `json:"v"`
	From    string      `json:"from,omitempty"`
	Tags    pubsub.Tags `json:"tags,omitzero"`
}

// version is the newest version of a message that this package reads.
const version = 2

// encodeMeta returns the meta of a draft, "" for version 1.
func encodeMeta(d *pubsub.Draft) string {
	if d.From == "" && d.Tags.IsZero() {
		return ""
	}
	b, err := json.Marshal(meta{version, d.From, d.Tags})
	if err != nil {
		panic(err) // strings and Tags always have a JSON form
	}
	return string(b)
}

// encodeExtra returns the third word of a draft for publish.lua.
func encodeExtra(d *pubsub.Draft) string {
	x := encodeMeta(d)
	if x != "" && d.Trace != "" {
		x += "\n"
	}
	return x + d.Trace
}

// decodeMeta decodes the meta of a message; "" has nothing. later reports that the
// message is of a later version, and what it says is unknown.
func decodeMeta(text string) (x meta, later bool, err error) {
	if text == "" {
		return x, false, nil
	}
	var header struct {
		Version int `json:"v"`
	}
	if json.Unmarshal([]byte(text), &x) == nil && x.Version == version {
		return x, false, nil
	}
	if json.Unmarshal([]byte(text), &header) != nil || header.Version <= version {
		return meta{}, false, errForeign
	}
	return meta{}, true, nil
}

// Marks of version 2 in the relay, where version 1 has a trace, see encodeEphemeral.
const (
	mark2   = "v2:"
	markOld = "v1:"
)

// encodeEphemeral returns the payload of an ephemeral message for the relay, and the one
// for nodes of version 1 if that is another: they take the first one for foreign, and
// later nodes ignore the second one.
func encodeEphemeral(d *pubsub.Draft) (payload, old []byte) {
	now := time.Now().UnixMilli()
	line := func(prefix, sign string) []byte {
		b := make([]byte, 0, len(prefix)+64+len(d.Type)+len(d.Data))
		b = append(append(b, prefix...), sign...)
		b = strconv.AppendInt(append(b, ' '), now, 10)
		return append(append(append(b, ' '), d.Type...), '\n')
	}
	x := encodeMeta(d)
	if x == "" {
		return append(line(tracePrefix(d.Trace), "-"), d.Data...), nil
	}
	payload = line("~ "+mark2+strconv.Itoa(len(x))+" ", "+")
	payload = append(payload, `["","`+d.Trace+`",`+x+`,`...)
	payload = append(append(payload, d.Data...), ']')
	return payload, append(line("~ "+markOld+" ", "-"), d.Data...)
}

// decodeVersion2 decodes a payload of the relay after its mark. size is the length of its
// meta.
func decodeVersion2(channel, size, payload string) (*pubsub.Message, error) {
	line, body, ok := strings.Cut(payload, "\n")
	first, second, kind, ok1 := cutLine(line)
	body, ok2 := strings.CutPrefix(body, `["`)
	prev, body, ok3 := strings.Cut(body, `","`)
	trace, body, ok4 := strings.Cut(body, `",`)
	n, err := strconv.Atoi(size)
	if !ok || !ok1 || !ok2 || !ok3 || !ok4 || err != nil || n < 1 || n+2 >= len(body) || body[n] != ',' || body[len(body)-1] != ']' {
		return nil, errForeign
	}
	x, later, err := decodeMeta(body[:n])
	data := body[n+1 : len(body)-1]
	switch {
	case err != nil:
		return nil, err
	case first == "+" && later:
		return nil, errForeign
	case first == "+":
		return newEphemeral(channel, second, kind, data, trace, x)
	case later:
		return newMessage(channel, first, first, pubsub.DefaultType, "", trace, meta{}) // the log has what it is
	}
	return newMessage(channel, first, prev, kind, data, trace, x)
}
