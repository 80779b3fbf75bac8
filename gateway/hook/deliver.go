package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// Pauses between retries double. Each is between half and all of that, so that nodes
// do not retry at the same time.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
)

// errRefused means that the application will never accept this batch.
var errRefused = errors.New("batch refused")

// run delivers the queue until it is closed and empty, or until the end of e.end.
func (e *Events) run() {
	defer close(e.done)
	failing := false // as logged
	for {
		batch := e.next()
		if batch == nil {
			break
		}
		failing = e.deliver(batch, failing)
	}
	e.abandoned = e.queue.abandon()
}

// next waits for a batch. It returns nil at the end.
func (e *Events) next() []Event {
	for e.end.Err() == nil {
		batch, wait := e.queue.next()
		if batch != nil || wait == 0 {
			return batch
		}
		timer := time.NewTimer(wait)
		select {
		case <-e.queue.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// deliver posts batch until the application accepts or refuses it. At the end of
// e.end it leaves the batch unsettled.
func (e *Events) deliver(batch []Event, failing bool) (stillFailing bool) {
	body, err := json.Marshal(batch)
	if err != nil {
		panic(err) // only our own types come here
	}
	closing := e.closing
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := e.try(body)
		if e.end.Err() != nil && err != nil {
			return failing
		}
		failing = e.note(err, failing)
		if err == nil || errors.Is(err, errRefused) {
			e.queue.settle(batch, err == nil)
			return failing
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-e.end.Done():
		case <-closing: // little time is left: start with short pauses again
			closing, pause = nil, firstPause/2
		}
		timer.Stop()
	}
}

// try posts a batch once.
func (e *Events) try(body []byte) error {
	ctx, cancel := context.WithTimeout(e.end, e.options.Timeout)
	defer cancel()
	status, _, err := e.caller.post(ctx, body)
	switch status {
	case 0:
		if ctx.Err() != nil {
			return fmt.Errorf("no answer within %v", e.options.Timeout)
		}
		return err
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		// The body itself is invalid, so a retry cannot help. Other failures may
		// be fixed in the application.
		return fmt.Errorf("%w: the answer has status %d", errRefused, status)
	}
	if status < 200 || status > 299 {
		return fmt.Errorf("the answer has status %d", status)
	}
	return nil // the body of the answer does not matter
}

// note counts failures, and logs the beginning and the end of an outage.
func (e *Events) note(err error, failing bool) (stillFailing bool) {
	if err != nil {
		e.failures.Add(1)
	}
	delivered, dropped, waiting := e.queue.stats()
	switch {
	case err != nil && !failing:
		e.options.Logger.Warn("event delivery failed; retrying", "setting", "events.url", "waiting", waiting, "error", err)
	case err == nil && failing:
		e.options.Logger.Info("event delivery recovered", "setting", "events.url", "waiting", waiting, "delivered", delivered, "dropped", dropped)
	}
	return err != nil
}
