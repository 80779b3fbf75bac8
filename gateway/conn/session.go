package conn

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// CloseReason is why a stream or poll has ended, and the reason in its comet.bye. It is
// also an error: the cause of a held request's context.
type CloseReason string

// The reasons; docs/protocol.md lists those that clients see.
const (
	Gone         CloseReason = "gone"          // the client has gone, and does not see this
	Shutdown     CloseReason = "shutdown"      // the node drains
	Slow         CloseReason = "slow"          // the subscriber's position has left the tail
	MaxAge       CloseReason = "max-age"       // the greatest age of streams is reached
	TokenExpired CloseReason = "token-expired" // the client needs a new one
	Revoked      CloseReason = "revoked"       // the user's credential was revoked
)

// Reasons that no client sees.
const (
	Answered = CloseReason("answered") // the poll was
	// FellBack is of a stream or poll that the fast path has admitted and could not
	// park. It did not begin, and goes on to the server.
	FellBack = CloseReason("fell-back")
)

// CloseReasons has every reason for which a stream or poll ends.
var CloseReasons = []CloseReason{Gone, Answered, Shutdown, Slow, MaxAge, TokenExpired, Revoked}

// reasonCode is a CloseReason in one byte; 0 is the empty one.
type reasonCode uint8

var reasonCodes = append([]CloseReason{""}, CloseReasons...)

func codeOf(b CloseReason) reasonCode { return reasonCode(max(0, slices.Index(reasonCodes, b))) }

func (c reasonCode) reason() CloseReason { return reasonCodes[c] }

func (b CloseReason) Error() string { return "ended by the node: " + string(b) }

// Session is the user of a stream or poll, and when it must end. The zero value is
// anonymous and never ends.
type Session struct {
	User   string
	Issued time.Time   // the credential; zero: unknown when
	Until  time.Time   // zero: never
	Reason CloseReason // at Until
}

// withDeadline returns a ctx that ends with the session, with the reason as its cause.
func (s *Session) withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.Until.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, s.Until, s.Reason)
}

// reconnectDelay is how long a client waits after a comet.bye before it reconnects:
// random, so that clients that were closed together do not return together.
func reconnectDelay() time.Duration { return 500*time.Millisecond + rand.N(time.Second) }
