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

// Waits between tries: doubling, each between half of that and all, so that
// nodes whose tries failed together do not come back together.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
)

// errRefused says that the application will never take this batch.
var errRefused = errors.New("the batch is refused")

// run tells what is in the queue, until it is closed and empty or time is up.
func (e *Events) run() {
	defer close(e.done)
	failing := false // the log has it
	for {
		batch := e.next()
		if batch == nil {
			break
		}
		failing = e.deliver(batch, failing)
	}
	e.abandoned = e.queue.abandon()
}

// next waits for a batch; nil: there will be none.
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

// deliver tells batch until the application takes or refuses it. When time is
// up it stays in hand.
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
		case <-closing: // there is little time left: begin with short waits again
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
		// About the body itself, so that it would never be taken. Anything else
		// may be mended on the other side.
		return fmt.Errorf("%w: the answer has status %d", errRefused, status)
	}
	if status < 200 || status > 299 {
		return fmt.Errorf("the answer has status %d", status)
	}
	return nil // whatever is wrong with the rest of the answer
}

// note counts and logs. Of an outage only its begin and its end are logged.
func (e *Events) note(err error, failing bool) (stillFailing bool) {
	if err != nil {
		e.failures.Add(1)
	}
	told, dropped, waiting := e.queue.stats()
	switch {
	case err != nil && !failing:
		e.options.Logger.Warn("events are not taken", "setting", "events.url", "waiting", waiting, "error", err)
	case err == nil && failing:
		e.options.Logger.Info("events are taken again", "setting", "events.url", "waiting", waiting, "told", told, "dropped", dropped)
	}
	return err != nil
}
