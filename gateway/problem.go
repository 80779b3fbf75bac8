package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"comet/gateway/admit"
	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/gateway/hook"
	"comet/gateway/limit"
	"comet/gateway/trace"
	"comet/pubsub"
)

// kind is a kind of problem: the stable part of a problem document.
type kind struct {
	status int
	name   string // the last part of its type
	title  string
	retry  int // Retry-After in seconds; 0: none
}

// problemBase begins the type of every problem (RFC 9457 section 3.1.1).
const problemBase = "urn:comet:problem:"

// Every kind of problem; docs/protocol.md lists the same.
var (
	invalidChannel     = kind{400, "invalid-channel", "Invalid channel", 0}
	invalidType        = kind{400, "invalid-type", "Invalid message type", 0}
	invalidKey         = kind{400, "invalid-key", "Invalid idempotency key", 0}
	invalidBody        = kind{400, "invalid-body", "Invalid body", 0}
	invalidCursor      = kind{400, "invalid-cursor", "Invalid cursor", 0}
	invalidParameter   = kind{400, "invalid-parameter", "Invalid parameter", 0}
	forbidden          = kind{403, "forbidden", "Not allowed", 0}
	pathNotFound       = kind{404, "not-found", "Not found", 0}
	noPresence         = kind{404, "no-presence", "No presence", 0}
	methodNotAllowed   = kind{405, "method-not-allowed", "Method not allowed", 0}
	notAcceptable      = kind{406, "not-acceptable", "Not acceptable", 0}
	keyReused          = kind{409, "idempotency-key-reused", "Idempotency key used before", 0}
	tooSlow            = kind{408, "too-slow", "Too slow", 0}
	tooLarge           = kind{413, "too-large", "Too large", 0}
	wrongMediaType     = kind{415, "unsupported-media-type", "Unsupported media type", 0}
	misdirected        = kind{421, "misdirected", "Misdirected", 0}
	tooManyRequests    = kind{429, "too-many-requests", "Too many requests", 5}
	internal           = kind{500, "internal", "Internal error", 0}
	unavailable        = kind{503, "unavailable", "Unavailable", 1}
	outcomeUnknown     = kind{503, "outcome-unknown", "Outcome unknown", 1}
	replaysReached     = kind{503, "too-many-replays", "Too many replays", 2}
	connectionsReached = kind{503, "too-many-connections", "Too many connections", 5}
)

// Problem is an error that the client caused or can act on, as in RFC 9457. Detail
// is a sentence that says what to do.
type Problem struct {
	kind
	Detail   string
	Channels []string // those of several that it is about; may be empty
	trace    trace.ID // of the request; zero: absent from the document
}

func (p *Problem) Error() string { return p.name + ": " + p.Detail }

// MarshalJSON is the problem document.
func (p *Problem) MarshalJSON() ([]byte, error) {
	document := struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Trace  string `json:"trace_id,omitempty"` // as in log lines and spans of the request

		Channels []string `json:"channels,omitempty"`
	}{Type: problemBase + p.name, Title: p.title, Status: p.status, Detail: p.Detail, Channels: p.Channels}
	if p.trace != (trace.ID{}) {
		document.Trace = p.trace.String()
	}
	return json.Marshal(document)
}

// problem makes a Problem; format is a sentence.
func problem(k kind, format string, args ...any) *Problem {
	return &Problem{kind: k, Detail: fmt.Sprintf(format, args...)}
}

// invalidFields maps pubsub.InvalidError.Field.
var invalidFields = map[string]kind{
	"channel": invalidChannel,
	"type":    invalidType,
	"key":     invalidKey,
	"data":    invalidBody,
}

// toProblem maps errors to what clients see of them; refusal maps those about
// credentials. An error that neither knows is internal: only the log has its cause.
func (p *policy) toProblem(err error) *Problem {
	var known *Problem
	var invalid *pubsub.InvalidError
	var over *limit.Exceeded
	if refusal := p.refusal(err); refusal != nil {
		return refusal
	}
	if mounted := mountedProblem(err); mounted != nil {
		return mounted
	}
	if full, ok := errors.AsType[*admit.FullError](err); ok {
		return problem(connectionsReached, "This node already has %d connections (limits.connections): come back later, or to another node.", full.Connections)
	}
	switch {
	case errors.As(err, &over):
		return exceeded(over)
	case errors.Is(err, admit.ErrReserved):
		return problem(forbidden, "Channels that begin with %q are the nodes' own: choose another name.", pubsub.ControlPrefix)
	case errors.As(err, &known):
		return known
	case errors.As(err, &invalid):
		return problem(invalidFields[invalid.Field], "The %s %s.", invalid.Field, invalid.Message)
	case errors.Is(err, pubsub.ErrBadCursor):
		return problem(invalidCursor, "This is %v.", pubsub.ErrBadCursor)
	case errors.Is(err, pubsub.ErrKeyReused):
		return problem(keyReused, "Another message was published with this idempotency key on this channel, so this one was not: use a new key for each message, and the same one only to repeat it.")
	case errors.Is(err, pubsub.ErrOutcomeUnknown):
		return problem(outcomeUnknown, "The message was sent to the broker, which did not confirm it: it may be delivered. Repeating the request with the same Idempotency-Key is safe.")
	case errors.Is(err, pubsub.ErrUnreadable):
		return problem(unavailable, "The log of this channel cannot be read: something else is in its place in Redis, which an operator must remove. Other channels are not affected.")
	case errors.Is(err, pubsub.ErrUnavailable):
		return problem(unavailable, "The broker cannot be reached or refuses; nothing was published. Try again later.")
	case errors.Is(err, conn.ErrTooManyReplays):
		return problem(replaysReached, "This node already reads the log for as many clients as limits.replay_memory allows: come back later, or to another node.")
	case errors.Is(err, conn.Shutdown), errors.Is(err, pubsub.ErrClosed):
		return problem(unavailable, "This node is shutting down: try again, at another node if you can.")
	}
	return problem(internal, "Something went wrong in this node; its log says what. Trying again may help.")
}

// setting is the setting of each limit.
var setting = [limit.Limits]string{
	limit.AddressConnections: "limits.address_connections",
	limit.UserConnections:    "limits.user_connections",
	limit.AddressRequests:    "limits.address_requests",
	limit.UserRequests:       "limits.user_requests",
	limit.AddressPublishes:   "limits.address_publishes",
	limit.UserPublishes:      "limits.user_publishes",
}

// exceeded returns the problem of a client that has reached a limit.
func exceeded(e *limit.Exceeded) *Problem {
	p := problem(tooManyRequests, "This is more than %s allows here: try again later, and less often.", setting[e.Limit])
	if e.Limit == limit.AddressConnections || e.Limit == limit.UserConnections {
		p = problem(tooManyRequests, "There are as many streams and polls as %s allows: end one, or try again later.", setting[e.Limit])
	}
	if e.Wait > 0 {
		p.retry = limit.RetryAfter(e.Wait)
	}
	return p
}

// refusal returns the problem of a credential that is bad or missing, or that does
// not permit the request; nil for other errors.
func (p *policy) refusal(err error) *Problem {
	var denied *auth.DeniedError
	var bad *auth.Error
	var no *hook.Denied
	var silent *hook.Unavailable
	switch {
	case errors.As(err, &denied) && denied.Credential == auth.None && p.Credentials:
		return problem(credentials[auth.Missing], "%s", denied.MissingCredential())
	case errors.As(err, &denied):
		return problem(forbidden, "%s", denied.Error())
	case errors.As(err, &bad):
		refused := problem(credentials[bad.Reason], "%s", bad.Detail)
		if bad.Wait > 0 {
			refused.retry = limit.RetryAfter(bad.Wait)
		}
		return refused
	case errors.As(err, &no):
		refused := problem(forbidden, "%s", no.Error())
		refused.Channels = no.Channels
		return refused
	case errors.As(err, &silent):
		later := problem(unavailable, "The application cannot be asked at the moment whether this is allowed: try again soon.")
		if silent.Wait > 0 {
			later.retry = limit.RetryAfter(silent.Wait)
		}
		return later
	case errors.Is(err, conn.Revoked): // while the request waited for its channels
		return p.refusal(auth.ErrRevoked)
	case errors.Is(err, auth.ErrKeysUnavailable), errors.Is(err, admit.ErrNotLoaded):
		return problem(unavailable, "Tokens cannot be checked at the moment: try again soon.")
	}
	return nil
}

// credentials is the kind of problem for each reason to refuse one.
var credentials = func() map[auth.Reason]kind {
	all := make(map[auth.Reason]kind)
	for _, reason := range []auth.Reason{
		auth.Missing, auth.Malformed, auth.WrongAlgorithm, auth.BadSignature, auth.UnknownKey, auth.Expired,
		auth.NotYetValid, auth.WrongIssuer, auth.WrongAudience, auth.Revoked,
	} {
		all[reason] = kind{http.StatusUnauthorized, "credential-" + string(reason), "Not authorized", 0}
	}
	all[auth.Several] = kind{http.StatusBadRequest, "credential-several", "Several credentials", 0}
	all[auth.WrongOrigin] = kind{http.StatusForbidden, "credential-wrong-origin", "Not allowed", 0}
	return all
}()

// answerError writes err as a problem document. It must be the first thing
// that is written.
func (g *Gateway) answerError(w http.ResponseWriter, r *http.Request, rc *requestContext, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client has gone
	}
	p := *rc.policy.toProblem(err)
	p.trace = rc.Trace.Trace
	rc.policy.Limiter.Count(err)
	g.logProblem(r, &p, err)
	if p.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.retry))
	}
	if p.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="comet"`)
	}
	answer := func() { answerJSON(w, p.status, "application/problem+json", &p) }
	if mayBeSending(r, rc) {
		answerWhileSending(w, r, answer)
		return
	}
	answer()
}

// failuresLogged is the number of failed requests per second that get a warning.
// While Redis is unreachable, or the node is full, thousands fail alike.
const failuresLogged = 10

// logProblem warns of problems that an operator may act on, and logs others at
// debug.
func (g *Gateway) logProblem(r *http.Request, p *Problem, err error) {
	level, message := slog.LevelDebug, "request refused"
	if p.status >= 500 {
		if message = "request failed"; g.failures.Allow() {
			level = slog.LevelWarn
		}
	}
	g.options.Logger.Log(r.Context(), level, message, "method", r.Method, "path", r.URL.Path, "problem", p.name, "error", err)
}

// answerJSON writes v as the whole answer.
func answerJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // only our own types come here
	}
	answer(w, status, contentType, append(body, '\n'))
}

// answerTimeout is the time that a client has to read an answer.
const answerTimeout = 30 * time.Second

// answer writes the whole answer.
func answer(w http.ResponseWriter, status int, contentType string, body []byte) {
	beginAnswer(w, status, contentType, len(body))
	w.Write(body) // an error means that the client has gone
}

// beginAnswer writes the header of an answer whose body has length bytes.
func beginAnswer(w http.ResponseWriter, status int, contentType string, length int) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout)) // a test's recorder has none
	conn.SetAnswerHeader(w.Header(), contentType)
	w.Header().Set("Content-Length", strconv.Itoa(length))
	w.WriteHeader(status)
}
