package redisbroker

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// errTooFew reports that a publish was carried out but may not survive a failover.
var errTooFew = errors.New("too few replicas have the message")

// publishError wraps err, with which a publish failed, in ErrUnavailable if it was
// certainly not carried out, and in ErrOutcomeUnknown otherwise.
func publishError(err error) error {
	if errors.Is(err, pubsub.ErrUnavailable) {
		return err
	}
	if refused(err) || neverSent(err) {
		return fmt.Errorf("%w: %w", pubsub.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", pubsub.ErrOutcomeUnknown, err)
}

// refused reports whether err is an answer of Redis: then the command did nothing. This
// holds for publish.lua too, which answers with errors of single messages otherwise.
func refused(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}

// neverSent reports whether the command never left this process.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" ||
		isGreeting(err) ||
		errors.Is(err, redis.ErrPoolTimeout) ||
		errors.Is(err, redis.ErrPoolExhausted) ||
		errors.Is(err, redis.ErrClosed)
}

// readError wraps the error of a read.
func readError(err error) error {
	if strings.HasPrefix(err.Error(), "WRONGTYPE") {
		return fmt.Errorf("%w: %w", pubsub.ErrUnreadable, err)
	}
	return fmt.Errorf("%w: %w", pubsub.ErrUnavailable, err)
}
