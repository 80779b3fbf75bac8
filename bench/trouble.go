package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// Kinds of errors, the keys of Trouble.Errors.
const (
	kindRefused     = "refused"
	kindReset       = "reset"
	kindClosed      = "closed"
	kindTimeout     = "timeout"
	kindUnreachable = "unreachable"
	kindDescriptors = "no descriptors"
	kindPorts       = "no ports"
	kindNotHTTP     = "not HTTP"
	kindNoCursor    = "no cursor"
	kindBye         = "bye" // comet.bye
)

func kindStatus(status int) string { return fmt.Sprint("status ", status) }

// kindOf returns the kind of a connection's error.
func kindOf(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return kindRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return kindReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return kindClosed
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return kindTimeout
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return kindUnreachable
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return kindDescriptors
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EADDRINUSE):
		return kindPorts
	case errors.Is(err, errFraming):
		return kindNotHTTP
	}
	return "other"
}

// None reports whether the run was perfect.
func (t *Trouble) None() bool {
	return t.Lost == 0 && t.Repeated == 0 && t.OutOfOrder == 0 && t.Unknown == 0 && t.Orders == 0 && t.Gaps == 0 && len(t.Errors) == 0
}
