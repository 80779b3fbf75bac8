package bayeux

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"comet/gateway/admit"
	"comet/gateway/auth"
	"comet/gateway/conn"
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

// hasCredential reports whether a request has a credential that a page of another site
// cannot make a browser send.
func hasCredential(r *http.Request) bool {
	return r.Header["Authorization"] != nil || strings.Contains(r.URL.RawQuery, "access_token=")
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
	if token == "" && !hasCredential(e.r) {
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
