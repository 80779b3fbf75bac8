package hook

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Denied says that the application said no.
type Denied struct {
	Action   Action
	Channels []string // that were asked for together
	Reason   string   // by the application, for the client; may be empty
}

// Error is a sentence for the one who may not.
func (d *Denied) Error() string {
	reason := strings.TrimSuffix(d.Reason, ".")
	if reason == "" {
		reason = "the application says no (auth.hook.url)"
	}
	if len(d.Channels) == 1 {
		return fmt.Sprintf("You may not %s to channel %q: %s.", d.Action, d.Channels[0], reason)
	}
	return fmt.Sprintf("You may not %s to these %d channels together: %s.", d.Action, len(d.Channels), reason)
}

// Unavailable says that there is no answer, and so nobody is let in: a 503.
type Unavailable struct {
	Wait time.Duration // until it is worth another try; 0: nobody knows
	Err  error         // why, for the log: has neither URL nor secret
}

func (u *Unavailable) Error() string {
	return "no usable answer from auth.hook.url: " + u.Err.Error()
}

// Unwrap implements errors.Unwrap.
func (u *Unavailable) Unwrap() error { return u.Err }

// Why nothing was asked.
var (
	errBusy      = errors.New("too many questions are waiting for their answers")
	errResting   = errors.New("it failed too often in a row, so it is left alone for a while")
	errNoChannel = errors.New("the question has no channel")
)
