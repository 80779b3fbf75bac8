package hook

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Denied is the error of a question that the application denied.
type Denied struct {
	Action   Action
	Channels []string // of one question
	Reason   string   // by the application, for the client; may be empty
}

// Error returns a sentence for the client.
func (d *Denied) Error() string {
	reason := strings.TrimSuffix(d.Reason, ".")
	if reason == "" {
		reason = "the application denied it (auth.hook.url)"
	}
	if len(d.Channels) == 1 {
		return fmt.Sprintf("You may not %s to channel %q: %s.", d.Action, d.Channels[0], reason)
	}
	return fmt.Sprintf("You may not %s to these %d channels together: %s.", d.Action, len(d.Channels), reason)
}

// Unavailable is the error of a question without an answer. The request is refused
// with 503.
type Unavailable struct {
	Wait time.Duration // until a retry can succeed; 0: unknown
	Err  error         // the cause, for the log, without URL and secret
}

func (u *Unavailable) Error() string {
	return "no usable answer from auth.hook.url: " + u.Err.Error()
}

// Unwrap implements errors.Unwrap.
func (u *Unavailable) Unwrap() error { return u.Err }

// Reasons not to ask.
var (
	errBusy      = errors.New("too many questions wait for an answer")
	errResting   = errors.New("the breaker is open after too many failures in a row")
	errNoChannel = errors.New("the question has no channel")
)
