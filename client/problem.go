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

// ProblemError is an answer with another status than success: an RFC 9457
// problem from Comet, or whatever stands before it.
type ProblemError struct {
	Status int    `json:"status"`
	Type   string `json:"type"` // stable; empty if the answer was no problem object
	Title  string `json:"title"`
	Detail string `json:"detail"` // a sentence that tells how to mend it

	RetryAfter time.Duration `json:"-"` // from the header of that name; 0 if there was none
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

// readProblem makes the error for an answer. It does not close it.
func readProblem(res *http.Response) *ProblemError {
	const maxProblemBytes = 64 << 10
	var problem ProblemError
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxProblemBytes))
	if json.Unmarshal(body, &problem) != nil {
		problem = ProblemError{}
	}
	problem.Status = res.StatusCode // the header is what intermediaries acted upon
	if problem.Title == "" {
		problem.Title = http.StatusText(res.StatusCode)
	}
	problem.RetryAfter = retryAfter(res.Header.Get("Retry-After"), time.Now())
	return &problem
}

// retryAfter reads seconds or a date (RFC 9110 section 10.2.3); anything else
// is 0. A server that asks for more than maxRetryAfter gets that much.
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

// temporary reports whether trying err's request again may help: network
// failures, an overloaded or broken server, and what says so by Retry-After, as
// for a token that is not valid yet; but no request that is wrong.
func temporary(err error) bool {
	if problem, ok := errors.AsType[*ProblemError](err); ok {
		return problem.Status >= 500 || problem.RetryAfter > 0 ||
			problem.Status == http.StatusRequestTimeout || problem.Status == http.StatusTooManyRequests
	}
	return !errors.Is(err, wire.ErrMalformed)
}
