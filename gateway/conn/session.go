package conn

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// CloseReason is why the node ends a stream or poll: the reason in its comet.bye. It is
// also an error, to be the cause of the context of a request that is held.
type CloseReason string

// Every reason; docs/protocol.md lists those that a client hears.
const (
	Gone         CloseReason = "gone"          // the client went, which nobody is told
	Shutdown     CloseReason = "shutdown"      // the node leaves
	Slow         CloseReason = "slow"          // the subscriber's place has left the tail
	MaxAge       CloseReason = "max-age"       // streams live only so long here
	TokenExpired CloseReason = "token-expired" // a new one is needed
	Revoked      CloseReason = "revoked"       // the user was thrown out
)

// reasonCode is a CloseReason in one byte; 0: none.
type reasonCode uint8

var reasonCodes = append([]CloseReason{""}, CloseReasons...)

func codeOf(b CloseReason) reasonCode { return reasonCode(max(0, slices.Index(reasonCodes, b))) }

func (c reasonCode) reason() CloseReason { return reasonCodes[c] }

func (b CloseReason) Error() string { return "ended by the node: " + string(b) }

// Session is whose a stream or poll is, and when it must end. The zero value is
// nobody's, for ever.
type Session struct {
	User   string
	Issued time.Time   // what lets them in; zero: not known
	Until  time.Time   // zero: never
	Reason CloseReason // then
}

// withDeadline ends ctx with the session.
func (s *Session) withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.Until.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, s.Until, s.Reason)
}

// reconnectDelay is when a client shall come back after a goodbye, by chance, so that
// those who left together do not return together.
func reconnectDelay() time.Duration { return 500*time.Millisecond + rand.N(time.Second) }
