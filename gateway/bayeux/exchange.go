package bayeux

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"comet/gateway/admit"
	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/gateway/hook"
	"comet/pubsub"
)

// exchange is a request with its messages, and their replies.
type exchange struct {
	server  *Server
	w       http.ResponseWriter
	r       *http.Request
	caller  *admit.Caller // of the credential of the request itself
	request *request

	callers  map[string]*authenticated // by the token of messages; "" is caller
	sessions map[string]*state         // that messages of the request have used, by client ID
	replies  []*reply
	drafts   []pubsub.Draft // of publishes that are not carried out yet
	of       []*reply       // the reply of each draft
	connect  *connect       // that was answered together with other messages
}

// authenticated is a caller, or why there is none.
type authenticated struct {
	caller *admit.Caller
	err    error
}

// serve answers the request.
func (e *exchange) serve() error {
	messages := e.request.messages
	// The specification has other messages of such a request ignored.
	if i := slices.IndexFunc(messages, func(m message) bool { return m.channel() == metaHandshake }); i >= 0 {
		messages = messages[i : i+1]
	}
	if len(messages) == 1 && messages[0].channel() == metaConnect {
		return e.hold(messages[0])
	}
	for _, m := range messages {
		e.handle(m)
	}
	e.publishDrafts()
	return e.answer()
}

// handle carries out one message, except for publishes, which it collects.
func (e *exchange) handle(m message) {
	name := m.channel()
	r := &reply{channel: name, id: m.id(), ack: -1}
	e.replies = append(e.replies, r)
	var err error
	switch {
	case name == "":
		err = &fault{code: 400, text: "the message has no channel"}
	case name == metaHandshake:
		err = e.handshake(m, r)
	case isMeta(name):
		e.publishDrafts() // in the order of the messages
		err = e.meta(m, r)
	default:
		if err = e.publish(m, r); err != nil {
			e.server.options.Refused(1)
		}
	}
	if err != nil {
		r.err = e.server.fault(err, argumentsOf(m))
		r.fail()
	}
}

// argumentsOf is what a fault of a message is about.
func argumentsOf(m message) string {
	if name := m.channel(); !isMeta(name) {
		return name
	}
	names, _ := m.texts("subscription")
	return strings.Join(names, ",")
}

// fail adds the advice for a message that was not successful, unless it has one.
func (r *reply) fail() {
	if r.err.advice != nil {
		return
	}
	later := &advice{interval: max(r.err.retry, minRetry)}
	switch {
	case r.channel == metaHandshake && (r.err.code == 429 || r.err.code >= 500):
		later.reconnect = "handshake"
		r.err.advice = later
	case r.channel == metaHandshake:
		r.err.advice = &advice{reconnect: "none", bare: true}
	case r.channel == metaConnect && (r.err.code == 429 || r.err.code >= 500):
		later.reconnect = "retry"
		r.err.advice = later
	case r.channel == metaConnect:
		r.err.advice = &advice{reconnect: "handshake"}
	}
}

// minRetry is how long a client waits at least after a refused connect.
const minRetry = time.Second

// meta carries out a message on a meta channel, except for a handshake.
func (e *exchange) meta(m message, r *reply) error {
	switch r.channel {
	case metaConnect:
		return e.connectAtOnce(m, r)
	case metaSubscribe:
		return e.subscribe(m, r)
	case metaUnsubscribe:
		return e.unsubscribe(m, r)
	case metaDisconnect:
		return e.disconnect(m, r)
	}
	return &fault{code: 404, arguments: r.channel, text: "unknown meta channel"}
}

// answer writes the replies.
func (e *exchange) answer() error {
	b := []byte{'['}
	for i, r := range e.replies {
		if i > 0 {
			b = append(b, ',')
		}
		b = e.server.appendReply(b, r)
	}
	b = e.request.wrap(append(b, ']'))
	header := e.w.Header()
	conn.SetAnswerHeader(header, e.request.contentType())
	header.Set("Content-Length", strconv.Itoa(len(b)))
	e.w.WriteHeader(e.status(header))
	_, err := e.w.Write(b)
	if e.connect != nil {
		e.connect.Written(err == nil)
	}
	return nil
}

// status is 200 unless the client sends too many requests, so that proxies know too.
func (e *exchange) status(header http.Header) int {
	if len(e.replies) != 1 || e.replies[0].err == nil || e.replies[0].err.code != http.StatusTooManyRequests {
		return http.StatusOK
	}
	header.Set("Retry-After", strconv.Itoa(int(max(time.Second, e.replies[0].err.retry).Seconds()+0.5)))
	return http.StatusTooManyRequests
}

// authenticate returns the caller of a message, by its token or else by the request's
// credential. The outcome is the same for all messages with the same token.
func (e *exchange) authenticate(token string) (*admit.Caller, error) {
	if known := e.callers[token]; known != nil {
		return known.caller, known.err
	}
	a := &authenticated{caller: e.caller}
	r := e.r
	if token != "" {
		a.caller, r = &admit.Caller{Rules: e.caller.Rules, Trace: e.caller.Trace}, withToken(e.r, token)
	}
	a.err = e.server.options.Admission.Authenticate(r, a.caller)
	if e.callers == nil {
		e.callers = make(map[string]*authenticated)
	}
	e.callers[token] = a
	return a.caller, a.err
}

// withToken returns r with token as its only credential.
func withToken(r *http.Request, token string) *http.Request {
	with := *withoutCookies(r)
	with.Header = with.Header.Clone()
	with.Header.Del("Authorization")
	with.URL = &url.URL{Path: r.URL.Path, RawQuery: url.Values{"access_token": {token}}.Encode()}
	return &with
}

// hasCredential reports whether the request itself has a credential that a page of
// another site cannot make a browser send.
func (e *exchange) hasCredential() bool {
	return e.r.Header["Authorization"] != nil || strings.Contains(e.r.URL.RawQuery, "access_token=")
}

// ownerOf names whose sessions those of a principal are; empty for anonymous clients.
func ownerOf(p *auth.Principal) string {
	switch {
	case p.User != "":
		return "user:" + p.User
	case p.Key != "":
		return "key:" + p.Key
	}
	return ""
}

// session returns the session that a message names, if it is the caller's. The token of
// the message, and that of the handshake, come before the credential of the request.
func (e *exchange) session(ctx context.Context, m message) (clientID string, st *state, caller *admit.Caller, err error) {
	clientID, ok := m.text("clientId")
	if !ok {
		return "", nil, nil, &fault{code: 401, text: "No client ID", advice: &advice{reconnect: "handshake"}}
	}
	if st = e.sessions[clientID]; st == nil {
		if st, err = e.server.load(ctx, clientID); err != nil {
			return "", nil, nil, err
		}
	}
	token := m.token()
	if token == "" && !e.hasCredential() {
		token = st.token
	}
	if caller, err = e.authenticate(token); err != nil {
		return "", nil, nil, err
	}
	if ownerOf(caller.Principal) != st.owner {
		return "", nil, nil, errUnknown()
	}
	e.keep(clientID, st)
	return clientID, st, caller, nil
}

// keep keeps the state of a session for the next messages of the request.
func (e *exchange) keep(clientID string, st *state) {
	if e.sessions == nil {
		e.sessions = make(map[string]*state)
	}
	e.sessions[clientID] = st
}

// handshake begins a session.
func (e *exchange) handshake(m message, r *reply) error {
	r.handshake = true
	if err := checkHandshake(m); err != nil {
		return err
	}
	token := m.token()
	caller, err := e.authenticate(token)
	if err != nil {
		return err
	}
	st := &state{owner: ownerOf(caller.Principal), acks: wantsAcks(m)}
	if token != "" && caller.User != "" {
		st.token = token
	}
	clientID := rand.Text()
	if err := e.server.store(e.r.Context(), clientID, &state{}, st); err != nil {
		return err
	}
	r.clientID, r.acks, r.advice = clientID, st.acks, &advice{reconnect: "retry"}
	return nil
}

// wantsAcks reports whether the client acknowledges batches: ext.ack is true or, as newer
// clients may send it, an object with enabled.
func wantsAcks(m message) bool {
	ext := m.object("ext")
	return string(ext["ack"]) == "true" || string(ext.object("ack")["enabled"]) == "true"
}

// checkHandshake returns a fault if the client and this server have no version, or no
// connection type in common.
func checkHandshake(m message) error {
	version, ok := m.text("version")
	if !ok || !validVersion(version) {
		return &fault{code: 400, text: "version is missing or malformed: send 1.0"}
	}
	minimum := version
	if m["minimumVersion"] != nil {
		if minimum, ok = m.text("minimumVersion"); !ok || !validVersion(minimum) {
			return &fault{code: 400, text: "minimumVersion is malformed: send 1.0"}
		}
	}
	if majorOf(version) < 1 || majorOf(minimum) > 1 {
		return &fault{code: 400, arguments: version, text: "version not supported: this server has 1.0"}
	}
	var types []string
	if raw := m["supportedConnectionTypes"]; raw != nil && raw[0] == '[' {
		types, ok = m.texts("supportedConnectionTypes")
	} else {
		ok = false
	}
	if !ok {
		return &fault{code: 400, text: "supportedConnectionTypes is missing or not an array of strings"}
	}
	if !slices.ContainsFunc(types, validConnectionType) {
		return &fault{code: 400, arguments: strings.Join(types, ","), text: "no connection type in common: this server has long-polling and callback-polling"}
	}
	return nil
}

func validConnectionType(name string) bool {
	return name == "long-polling" || name == "callback-polling"
}

// validVersion reports whether version is a number and, after dots, elements that begin
// with a letter or digit.
func validVersion(version string) bool {
	for i, element := range strings.Split(version, ".") {
		valid := func(r rune) bool { return r >= '0' && r <= '9' || i > 0 && (alphanum(r) || r == '-' || r == '_') }
		if element == "" || !alphanum(rune(element[0])) || strings.ContainsFunc(element, func(r rune) bool { return !valid(r) }) {
			return false
		}
	}
	return true
}

// majorOf is the first element of a valid version.
func majorOf(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 1 << 30 // it has too many digits
	}
	return n
}

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

// changeSession changes a session, and wakes the connect that waits for it, so that it
// waits for what the session has now.
func (e *exchange) changeSession(clientID string, st *state, apply func(*state) error) error {
	next, err := e.server.change(e.r.Context(), clientID, st, apply)
	if err != nil {
		return err
	}
	e.keep(clientID, next)
	e.server.notify(e.r.Context(), next.node, clientID)
	return nil
}

// disconnect ends a session, and the connect that waits for it.
func (e *exchange) disconnect(m message, r *reply) error {
	clientID, st, _, err := e.session(e.r.Context(), m)
	if err != nil {
		return err
	}
	err = e.server.attempt(e.r.Context(), clientID, st, func(now *state) error {
		st = now
		_, err := e.server.options.Records.ChangeRecord(e.r.Context(), recordKey(clientID), pubsub.RecordChange{Version: st.version})
		return err
	})
	if err != nil {
		return err
	}
	delete(e.sessions, clientID)
	r.clientID = clientID
	e.server.notify(e.r.Context(), st.node, clientID)
	return nil
}

// publish checks a message, and adds it to those that are published together.
func (e *exchange) publish(m message, r *reply) error {
	name := r.channel
	if _, _, glob := cutGlob(name); glob || !validName(name) {
		return &fault{code: 400, arguments: name, text: "invalid channel name: publish to one channel"}
	}
	clientID, _, caller, err := e.session(e.r.Context(), m)
	if err != nil {
		return err
	}
	if m["data"] == nil {
		return &fault{code: 400, arguments: name, text: "data is missing"}
	}
	limits := e.server.options.Limits()
	if len(m["data"]) > limits.Message {
		return &fault{code: 413, arguments: name, text: "data may have " + strconv.Itoa(limits.Message) + " bytes at most (limits.message)"}
	}
	data, err := pubsub.CompactJSON(m["data"])
	if err != nil {
		return &fault{code: 400, arguments: name, text: err.Error()}
	}
	if isService(name) {
		return e.service(m, r, caller, data)
	}
	d := pubsub.Draft{Channel: e.server.channelOf(name), Data: data}
	if err := d.Validate(); err != nil {
		return err
	}
	if err := caller.MayPublish(d.Channel); err != nil {
		return err
	}
	if err := e.server.options.Admission.AskHook(e.r.Context(), caller, hook.Publish, d.Channel); err != nil {
		return err
	}
	if err := caller.Rules.Limiter.Publish(caller.Client, 1); err != nil {
		return err
	}
	if e.server.options.Senders(d.Channel) {
		d.From = caller.Sender()
	}
	if r.id != nil {
		d.Key, d.Owner = messageKey(r.id, data), "bayeux:"+clientID
	}
	e.drafts, e.of = append(e.drafts, d), append(e.of, r)
	return nil
}

// messageKey is the idempotency key of a message. Faye sends a message again, with the
// same ID, when it got no answer. IDs need not be unique otherwise, so the data counts
// too.
func messageKey(id, data []byte) string {
	sum := sha256.New()
	sum.Write(id)
	sum.Write(data)
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:24])
}

// publishDrafts publishes the messages collected so far.
func (e *exchange) publishDrafts() {
	if len(e.drafts) == 0 {
		return
	}
	end := e.beginSpan()
	receipts := e.server.options.Hub.Publish(e.r.Context(), e.drafts)
	end(e.drafts, receipts)
	for i, receipt := range receipts {
		if receipt.Err != nil {
			e.of[i].err = e.server.fault(receipt.Err, e.of[i].channel)
		}
	}
	e.drafts, e.of = nil, nil
}

// beginSpan begins the span of the messages collected so far.
func (e *exchange) beginSpan() (end func([]pubsub.Draft, []pubsub.Receipt)) {
	if e.server.options.Span == nil {
		return func([]pubsub.Draft, []pubsub.Receipt) {}
	}
	carry, end := e.server.options.Span(e.r.Context())
	for i := range e.drafts {
		e.drafts[i].Trace = carry
	}
	return end
}

// service asks the application about a message on a service channel.
func (e *exchange) service(m message, r *reply, caller *admit.Caller, data []byte) error {
	if err := caller.Rules.Limiter.Publish(caller.Client, 1); err != nil {
		return err
	}
	back, err := e.server.options.Admission.AskService(e.r.Context(), caller, r.channel, data)
	switch {
	case errors.Is(err, admit.ErrNoHook):
		return &fault{code: 404, arguments: r.channel, text: "service messages go to the application and no hook is configured, see auth.hook.url"}
	case err != nil || back == nil:
		return err
	}
	if back, err = pubsub.CompactJSON(back); err != nil {
		return err
	}
	r.events = append(append(appendString([]byte(`{"channel":`), r.channel), `,"data":`...), back...)
	if r.id != nil {
		r.events = append(append(r.events, `,"id":`...), r.id...)
	}
	r.events = append(r.events, '}')
	return nil
}
