package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// ProblemError is a response with an error status: an RFC 9457 problem of Comet,
// or another response of a proxy before it.
type ProblemError struct {
	Status int    `json:"status"`
	Type   string `json:"type"` // stable; empty if the response was no problem object
	Title  string `json:"title"`
	Detail string `json:"detail"` // what was wrong and what to do, for people

	RetryAfter time.Duration `json:"-"` // from the Retry-After header; 0 without one
}

// Is reports whether the problem is target, which may be pubsub.ErrKeyReused.
func (e *ProblemError) Is(target error) bool {
	return target == pubsub.ErrKeyReused && e.Type == "urn:comet:problem:idempotency-key-reused"
}

func (e *ProblemError) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("%d %s", e.Status, e.Title)
	}
	return fmt.Sprintf("%d %s: %s", e.Status, e.Title, e.Detail)
}

// readProblem returns the error for res. It does not close the body.
func readProblem(res *http.Response) *ProblemError {
	const maxProblemBytes = 64 << 10
	var problem ProblemError
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxProblemBytes))
	if json.Unmarshal(body, &problem) != nil {
		problem = ProblemError{}
	}
	problem.Status = res.StatusCode // the status line, as proxies acted on it
	if problem.Title == "" {
		problem.Title = http.StatusText(res.StatusCode)
	}
	problem.RetryAfter = retryAfter(res.Header.Get("Retry-After"), time.Now())
	return &problem
}

// retryAfter parses seconds or a date (RFC 9110 section 10.2.3). It returns at
// most maxRetryAfter, and 0 for anything else.
func retryAfter(value string, now time.Time) time.Duration {
	const maxRetryAfter = 5 * time.Minute
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}

// temporary reports whether a retry of the request that failed with err may
// help. It may after network failures, with an overloaded or broken server, and
// with a Retry-After, as for a token that is not valid yet. It does not help
// when the request itself is wrong.
func temporary(err error) bool {
	if problem, ok := errors.AsType[*ProblemError](err); ok {
		return problem.Status >= 500 || problem.RetryAfter > 0 ||
			problem.Status == http.StatusRequestTimeout || problem.Status == http.StatusTooManyRequests
	}
	return !errors.Is(err, wire.ErrMalformed) && !errors.Is(err, http.ErrSchemeMismatch)
}
