package redisbroker

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// errTooFew says that a publish was carried out and may not survive a failover.
var errTooFew = errors.New("too few replicas have it")

// publishError says what became of a publish that failed with err. Only what
// was surely not carried out is ErrUnavailable; for the rest nobody can know.
func publishError(err error) error {
	if errors.Is(err, pubsub.ErrUnavailable) {
		return err
	}
	if refused(err) || neverSent(err) {
		return fmt.Errorf("%w: %w", pubsub.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", pubsub.ErrOutcomeUnknown, err)
}

// refused reports whether Redis answered with an error: then a command did
// nothing, and neither did publish.lua, which answers for each message.
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
		errors.Is(err, redis.ErrClosed)
}

// readError wraps what went wrong with a read.
func readError(err error) error {
	if strings.HasPrefix(err.Error(), "WRONGTYPE") {
		return fmt.Errorf("%w: %w", pubsub.ErrUnreadable, err)
	}
	return fmt.Errorf("%w: %w", pubsub.ErrUnavailable, err)
}
