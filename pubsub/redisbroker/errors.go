package redisbroker

import (
	"errors"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// errTooFew says that a publish was carried out and may not survive a failover.
var errTooFew = errors.New("too few replicas have it")

// publishError says what became of a publish that failed with err. Only what
// was surely not carried out is ErrUnavailable; for the rest nobody can know.
func publishError(err error) error {
	if refused(err) || neverSent(err) {
		return fmt.Errorf("%w: %w", pubsub.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", pubsub.ErrOutcomeUnknown, err)
}

// refused reports whether Redis answered with an error. A script that fails
// has not written: its first write is the XADD, and what comes after cannot
// fail but for lack of memory, which Redis checks before it starts a script.
func refused(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}

// neverSent reports whether the command did not leave this process.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" ||
		isGreeting(err) ||
		errors.Is(err, redis.ErrPoolTimeout) ||
		errors.Is(err, redis.ErrPoolExhausted) ||
		errors.Is(err, redis.ErrClosed) ||
		errors.Is(err, pubsub.ErrUnavailable) // nobody was found to send it to
}

// readError wraps what went wrong with a read.
func readError(err error) error { return fmt.Errorf("%w: %w", pubsub.ErrUnavailable, err) }
