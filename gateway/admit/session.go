package admit

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"comet/gateway/conn"
	"comet/gateway/limit"
	"comet/gateway/trace"
	"comet/internal/metrics"
	"comet/pubsub"
)

// Subscription is what a stream or poll asks for.
type Subscription struct {
	Channels   []string       // and patterns, sorted and distinct
	Starts     []pubsub.Start // of the channels, and of the index logs of the patterns, in the same order
	PerChannel bool           // each channel has a cursor of its own, see pubsub.CursorSet
	Transport  conn.Transport
	Present    bool // its user is listed as present while it is open
}

// cursors returns the cursors of the subscription, which begins at at.
func (s *Subscription) cursors(at []pubsub.Cursor) *pubsub.CursorSet {
	set := pubsub.NewCursorSetOf(s.Starts, at)
	set.PerChannel = s.PerChannel
	return set
}

// Session is an open stream or poll. Hundreds of thousands of parked streams keep
// one each, in the closure of EndFunc, so it has only what End needs: nothing
// unless limits, presence or events apply.
type Session struct {
	of     *sessions
	user   string            // empty if neither limits nor events need it
	member pubsub.Membership // zero: in no channel's presence, or in several
	extra  *sessionExtra
}

// sessionExtra is what End needs of few sessions.
type sessionExtra struct {
	address netip.Addr // if connections are counted by client
	rare    *sessionRare
}

// sessionRare is what End needs of very few sessions.
type sessionRare struct {
	members []pubsub.Membership // of several channels
	log     *endLog             // nil unless the log level is debug
}

// sessions is what all sessions of one transport have in common.
type sessions struct {
	controller *Controller
	transport  conn.Transport
	limits     *limit.Connections     // nil: clients are not counted
	end        func(conn.CloseReason) // Session.End of those with nothing of their own
}

func (s *sessions) init(c *Controller, t conn.Transport, limits *limit.Connections) {
	*s = sessions{controller: c, transport: t, limits: limits}
	s.end = Session{of: s}.End
}

// newSession makes the session of a, and joins the presence of its channels.
func (c *Controller) newSession(a *Admission) Session {
	caller := a.caller
	s := Session{of: &c.uncounted[a.Transport]}
	if !caller.Client.Trusted && caller.Rules.Limiter.Counts() {
		s.of = &caller.Rules.counted[a.Transport]
		s.extra = &sessionExtra{address: caller.Client.Address}
	}
	if s.of.limits != nil || c.sendsEvents(a.Transport) {
		s.user = caller.User
	}
	if log := c.newEndLog(a); log != nil {
		s.rare().log = log
	}
	if a.Present {
		s.joinPresence(a)
	}
	return s
}

// rare returns s.extra.rare. It makes it if there is none.
func (s *Session) rare() *sessionRare {
	if s.extra == nil {
		s.extra = &sessionExtra{}
	}
	if s.extra.rare == nil {
		s.extra.rare = &sessionRare{}
	}
	return s.extra.rare
}

// joinPresence makes the user a member of the channels. Anonymous clients are
// members of none.
func (s *Session) joinPresence(a *Admission) {
	p, caller := s.of.controller.options.Presence, a.caller
	if p == nil || caller.User == "" {
		return
	}
	for _, channel := range a.Channels {
		if pubsub.IsPattern(channel) {
			continue // its user would be in channels that do not exist yet
		}
		member, ok := p.Join(channel, caller.User, caller.Info)
		switch {
		case !ok:
		case len(a.Channels) == 1:
			s.member = member
		default:
			s.rare().members = append(s.rare().members, member)
		}
	}
}

// EndFunc returns End. Sessions with nothing of their own share one func.
func (s Session) EndFunc() func(conn.CloseReason) {
	if s == (Session{of: s.of}) {
		return s.of.end
	}
	return s.End
}

// End ends the session: it leaves the presence, releases what the limits count
// and, unless the reason is conn.FellBack, counts and reports the reason.
func (s Session) End(reason conn.CloseReason) {
	s.leavePresence()
	c, t := s.of.controller, s.of.transport
	if s.of.limits != nil {
		s.of.limits.Disconnect(limit.Client{Address: s.extra.address, User: s.user})
	}
	c.connections.Add(-1)
	if reason == conn.FellBack {
		return
	}
	c.counts[t].disconnects.Add(reason, 1)
	if c.sendsEvents(t) {
		s.sendEvent(reason)
	}
	if s.extra != nil && s.extra.rare != nil && s.extra.rare.log != nil {
		s.logEnd(reason)
	}
}

func (s *Session) leavePresence() {
	p := s.of.controller.options.Presence
	if p == nil {
		return
	}
	defer s.of.controller.recoverFrom("presence")
	if s.member != (pubsub.Membership{}) {
		p.Leave(s.member)
	}
	if s.extra != nil && s.extra.rare != nil {
		for _, member := range s.extra.rare.members {
			p.Leave(member)
		}
	}
}

// sendsEvents reports whether the application gets events about a transport.
// Polls come and go too often for that.
func (c *Controller) sendsEvents(t conn.Transport) bool {
	return c.options.Events != nil && !t.Polls()
}

func (s *Session) sendEvent(reason conn.CloseReason) {
	c := s.of.controller
	defer c.recoverFrom("ended")
	c.options.Events.Disconnected(s.user, s.of.transport.String(), string(reason))
}

// endLog is for the log line at the end of a session.
type endLog struct {
	ctx    context.Context
	logger *slog.Logger
	began  time.Time
}

// newEndLog returns nil at any level but debug.
func (c *Controller) newEndLog(a *Admission) *endLog {
	if !c.options.Logger.Enabled(a.Request.Context(), slog.LevelDebug) {
		return nil
	}
	ctx, logger := c.connectionLog(a)
	return &endLog{ctx, logger, time.Now()}
}

func (s *Session) logEnd(reason conn.CloseReason) {
	defer s.of.controller.recoverFrom("log")
	log := s.extra.rare.log
	log.logger.DebugContext(log.ctx, "disconnected", "reason", string(reason), "duration", time.Since(log.began))
}

func (c *Controller) logBegin(a *Admission) {
	if c.options.Logger.Enabled(a.Request.Context(), slog.LevelDebug) {
		ctx, logger := c.connectionLog(a)
		logger.DebugContext(ctx, "connected", "channels", a.Request.URL.Query()["channel"])
	}
}

// connectionLog returns what log lines about a stream or poll need.
func (c *Controller) connectionLog(a *Admission) (context.Context, *slog.Logger) {
	caller := a.caller
	request := caller.traceOf(a.Request)
	logger := c.options.Logger.With("transport", a.Transport.String(), "user", caller.User, "address", caller.Client.Address)
	return trace.NewContext(context.Background(), &request), logger
}

// traceOf returns the trace of r. On the fast path it is read only here.
func (caller *Caller) traceOf(r *http.Request) trace.Request {
	if caller.Trace.Trace == (trace.ID{}) {
		caller.Trace = trace.Of(r.Header)
	}
	return caller.Trace
}

// Bounds returns whose the stream or poll is, which begins now, and when it must
// end.
func (a *Admission) Bounds() conn.Session { return a.caller.bounds() }

func (caller *Caller) bounds() conn.Session {
	s := conn.Session{User: caller.User, Issued: caller.IssuedAt, Until: caller.Ends, Reason: conn.TokenExpired}
	if age := caller.Rules.MaxAge; age > 0 {
		end := time.Now().Add(age*9/10 + rand.N(age/5+1))
		if s.Until.IsZero() || end.Before(s.Until) {
			s.Until, s.Reason = end, conn.MaxAge
		}
	}
	return s
}

// transportCounts is what a Controller counts of one transport.
type transportCounts struct {
	connects    atomic.Int64
	disconnects *metrics.Counts[conn.CloseReason]
}

func (c *transportCounts) init() { c.disconnects = metrics.NewCounts(conn.CloseReasons...) }

// ConnectionStats is what a Controller counts, since the start.
type ConnectionStats struct {
	Refused int64 // streams and polls that Rules.Connections kept out

	Connects    [conn.Transports]int64                      // streams and polls that began
	Disconnects [conn.Transports]map[conn.CloseReason]int64 // those that ended, by the reason; each map has all
}

// Held is how many streams and polls there are.
func (s *ConnectionStats) Held(t conn.Transport) int64 {
	n := s.Connects[t]
	for _, ended := range s.Disconnects[t] {
		n -= ended
	}
	return n
}

// Connections is how many streams and polls there are.
func (c *Controller) Connections() int64 { return c.connections.Load() }

// Stats may be called at any time.
func (c *Controller) Stats() ConnectionStats {
	s := ConnectionStats{Refused: c.refused.Load()}
	for t := range s.Connects {
		s.Disconnects[t] = c.counts[t].disconnects.Stats() // first, so that none ended that did not begin
		s.Connects[t] = c.counts[t].connects.Load()
	}
	return s
}
