package bayeux

import (
	"cmp"
	"context"
	"errors"

	"slices"
	"strconv"
	"strings"
	"time"

	"comet/pubsub"
)

// state is a version of a session's record. In the record it has the fields
//
//	owner     whose session it is, see ownerOf; absent for an anonymous client
//	token     the token of the client's messages, if they have one
//	acks      1 if the client acknowledges batches (ext.ack)
//	node      the notice channel of the node that held the last connect
//	connect   the name of the last connect; the one before it is over
//	batch     the number of the last answer with events
//	answered  the ID of the connect that it answered, as JSON
//	written   the batch, once it was written to the client's connection
//	lost      the batch, if it could not be written to the client's connection
//	c:<name>  for each channel or pattern: the cursors up to which the client has
//	          acknowledged, one for each log, and after a space those up to which the last
//	          batch went, if it had events of it and is not acknowledged
type state struct {
	version  uint64
	owner    string
	token    string
	acks     bool
	node     string
	connect  string
	batch    int64
	answered string
	written  int64
	lost     int64
	channels []subscription // sorted by name
}

// subscription is where a session is in a channel.
type subscription struct {
	channel string          // or pattern
	acked   []pubsub.Cursor // one for each of its logs
	sent    []pubsub.Cursor // nil: everything is acknowledged
}

func (u *subscription) pending() bool { return u.sent != nil }

const channelField = "c:"

func (u *subscription) text() string {
	b := appendCursors(make([]byte, 0, 64), u.acked)
	if u.pending() {
		b = appendCursors(append(b, ' '), u.sent)
	}
	return string(b)
}

// appendCursors appends cursors with commas between them.
func appendCursors(b []byte, cursors []pubsub.Cursor) []byte {
	for i := range cursors {
		if i > 0 {
			b = append(b, ',')
		}
		b = cursors[i].Append(b)
	}
	return b
}

// parseCursors reads what appendCursors writes.
func parseCursors(text string) (cursors []pubsub.Cursor, err error) {
	for part := range strings.SplitSeq(text, ",") {
		at, err := pubsub.ParseCursor(part)
		if err != nil {
			return nil, err
		}
		cursors = append(cursors, at)
	}
	return cursors, nil
}

// parseState reads what fields writes.
func parseState(r pubsub.Record) (*state, error) {
	st := &state{
		version: r.Version, owner: r.Fields["owner"], token: r.Fields["token"], acks: r.Fields["acks"] == "1",
		node: r.Fields["node"], connect: r.Fields["connect"], answered: r.Fields["answered"],
	}
	var err, wrong error
	st.batch, err = strconv.ParseInt(cmp.Or(r.Fields["batch"], "0"), 10, 64)
	st.lost, wrong = strconv.ParseInt(cmp.Or(r.Fields["lost"], "0"), 10, 64)
	err = errors.Join(err, wrong)
	st.written, wrong = strconv.ParseInt(cmp.Or(r.Fields["written"], "0"), 10, 64)
	err = errors.Join(err, wrong)
	for name, value := range r.Fields {
		channel, ok := strings.CutPrefix(name, channelField)
		if !ok {
			continue
		}
		u, wrong := parseSubscription(channel, value)
		if err = errors.Join(err, wrong); wrong == nil {
			st.channels = append(st.channels, u)
		}
	}
	slices.SortFunc(st.channels, func(a, b subscription) int { return strings.Compare(a.channel, b.channel) })
	return st, err
}

func parseSubscription(channel, value string) (u subscription, err error) {
	u.channel = channel
	acked, sent, pending := strings.Cut(value, " ")
	if u.acked, err = parseCursors(acked); err == nil && pending {
		u.sent, err = parseCursors(sent)
	}
	return u, err
}

// clone returns a copy that shares nothing that changes.
func (st *state) clone() *state {
	c := *st
	c.channels = slices.Clone(st.channels) // whose cursors are replaced, and never changed
	return &c
}

// find returns the subscription to a channel; nil if there is none.
func (st *state) find(channel string) *subscription {
	i, ok := slices.BinarySearchFunc(st.channels, channel, func(u subscription, name string) int { return strings.Compare(u.channel, name) })
	if !ok {
		return nil
	}
	return &st.channels[i]
}

// add adds a subscription that begins at a cursor, unless there is one.
func (st *state) add(channel string, at []pubsub.Cursor) {
	if st.find(channel) == nil {
		st.channels = append(st.channels, subscription{channel: channel, acked: at})
		slices.SortFunc(st.channels, func(a, b subscription) int { return strings.Compare(a.channel, b.channel) })
	}
}

func (st *state) remove(channel string) {
	st.channels = slices.DeleteFunc(st.channels, func(u subscription) bool { return u.channel == channel })
}

// pending reports whether the last batch is not acknowledged.
func (st *state) pending() bool {
	return slices.ContainsFunc(st.channels, func(u subscription) bool { return u.pending() })
}

// settle ends the last batch: it is acknowledged, or its events are sent again.
func (st *state) settle(acknowledged bool) {
	for i := range st.channels {
		u := &st.channels[i]
		if u.pending() && acknowledged {
			u.acked = u.sent
		}
		u.sent = nil
	}
}

// changeTo returns the change of the record from st to next.
func (st *state) changeTo(next *state, ttl time.Duration) pubsub.RecordChange {
	c := pubsub.RecordChange{Version: st.version, Set: make(map[string]string), TTL: ttl}
	field := func(name, before, now string) {
		switch {
		case before == now:
		case now == "":
			c.Remove = append(c.Remove, name)
		default:
			c.Set[name] = now
		}
	}
	field("owner", st.owner, next.owner)
	field("token", st.token, next.token)
	field("node", st.node, next.node)
	field("connect", st.connect, next.connect)
	field("answered", st.answered, next.answered)
	if st.acks != next.acks {
		c.Set["acks"] = "1" // from the beginning
	}
	if st.batch != next.batch {
		c.Set["batch"] = strconv.FormatInt(next.batch, 10)
	}
	if st.written != next.written {
		c.Set["written"] = strconv.FormatInt(next.written, 10)
	}
	if st.lost != next.lost {
		c.Set["lost"] = strconv.FormatInt(next.lost, 10)
	}
	for i := range st.channels {
		if u := &st.channels[i]; next.find(u.channel) == nil {
			c.Remove = append(c.Remove, channelField+u.channel)
		}
	}
	for i := range next.channels {
		u := &next.channels[i]
		if before := st.find(u.channel); before == nil || !u.equal(before) {
			c.Set[channelField+u.channel] = u.text()
		}
	}
	return c
}

// equal reports whether both are in the same place.
func (u *subscription) equal(other *subscription) bool {
	return slices.Equal(u.acked, other.acked) && slices.Equal(u.sent, other.sent)
}

// recordKey is the key of a session's record.
func recordKey(clientID string) string { return pubsub.ControlPrefix + "bayeux." + clientID }

// maxClientID is longer than every client ID; others are not looked for.
const maxClientID = 64

// errUnknown is the fault of a client without a session, as after a disconnect, after its
// time, or of another user's.
func errUnknown() *fault {
	return &fault{code: 402, text: "session unknown", advice: &advice{reconnect: "handshake"}}
}

// load returns the state of a session. The error is errUnknown if there is none.
func (s *Server) load(ctx context.Context, clientID string) (*state, error) {
	if clientID == "" || len(clientID) > maxClientID || strings.ContainsFunc(clientID, func(r rune) bool { return !alphanum(r) }) {
		return nil, errUnknown()
	}
	r, err := s.options.Records.LoadRecord(ctx, recordKey(clientID))
	if err != nil {
		return nil, err
	}
	if r.Version == 0 {
		return nil, errUnknown()
	}
	return parseState(r)
}

func alphanum(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// store changes the record from st to next, and sets the version of next.
func (s *Server) store(ctx context.Context, clientID string, st, next *state) (err error) {
	next.version, err = s.options.Records.ChangeRecord(ctx, recordKey(clientID), st.changeTo(next, s.ttl()))
	return err
}

// ttl is how long a session is kept after its last connect began: as long as that may
// wait, and as long as the next one may take to come.
func (s *Server) ttl() time.Duration {
	return s.options.Timeout + s.options.Interval + s.options.MaxInterval
}

// conflicts is how often a change is begun again because of changes by others. Each of
// those has succeeded, so only a flood of requests for one session gets there.
const conflicts = 20

// attempt calls try with st and, as long as it fails because the session was changed
// meanwhile or because the outcome is unknown, again with what is stored.
func (s *Server) attempt(ctx context.Context, clientID string, st *state, try func(*state) error) error {
	for n := 1; ; n++ {
		err := try(st)
		if n == conflicts || !errors.Is(err, pubsub.ErrRecordChanged) && !errors.Is(err, pubsub.ErrOutcomeUnknown) {
			return err
		}
		if st, err = s.load(ctx, clientID); err != nil {
			return err
		}
	}
}

// change applies apply to a copy of st, and stores it, see attempt: apply must be right for a
// state that it was applied to before.
func (s *Server) change(ctx context.Context, clientID string, st *state, apply func(*state) error) (next *state, err error) {
	err = s.attempt(ctx, clientID, st, func(st *state) error {
		next = st.clone()
		if err := apply(next); err != nil {
			return err
		}
		return s.store(ctx, clientID, st, next)
	})
	if err != nil {
		return nil, err
	}
	return next, nil
}

// names returns the names of the channels.
func (st *state) names() []string {
	names := make([]string, len(st.channels))
	for i := range names {
		names[i] = st.channels[i].channel
	}
	return names
}
