package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// AskerOptions are the options of an Asker. The endpoint is required. Other zero
// values mean the default.
type AskerOptions struct {
	Endpoint
	Node        string        // name of this node
	Headers     []string      // of clients' requests, that the application gets; default: none
	Timeout     time.Duration // from question to answer; default 1s
	Concurrency int           // maximum questions at a time, a quarter of them for one user or address; others wait, within the timeout; default 64
	Remembered  int           // maximum answers in memory, about 29 MiB with the longest names; default 32768
	Failures    int           // consecutive failures, of different users, addresses or questions of keys, that open the breaker; default 5
	Pause       time.Duration // how long the breaker stays open; default 5s
	Logger      *slog.Logger  // default: no log
}

// Asker asks the application whether a client may subscribe or publish. Its methods
// may be called concurrently.
type Asker struct {
	options AskerOptions
	caller  *caller
	slots   chan struct{} // holds one item per question in flight
	lanes   *lanes
	breaker *breaker
	cache   *cache

	refusals                                 *rate.Limiter // limits warnings about 4xx answers
	allowed, denied, cached, failed, skipped atomic.Int64
}

// NewAsker makes an Asker. Its error names every invalid option, but no secret. It
// starts no goroutine. Close closes its connections.
func NewAsker(o AskerOptions) (*Asker, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	setDefault(&o.Timeout, time.Second)
	setDefault(&o.Concurrency, 64)
	setDefault(&o.Remembered, 1<<15)
	setDefault(&o.Failures, 5)
	setDefault(&o.Pause, 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Asker{
		options: o,
		caller:  newCaller(o.Endpoint, o.Concurrency, o.Timeout),
		slots:   make(chan struct{}, o.Concurrency),
		lanes:   &lanes{width: max(1, o.Concurrency/4), byAsker: make(map[identity]*lane)},
		breaker: &breaker{limit: o.Failures, pause: o.Pause},
		cache:   newCache(o.Remembered, o.Headers),

		refusals: rate.NewLimiter(rate.Every(time.Minute), 1),
	}, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Allowed returns nil only if the application allows every channel of q, now or in
// a cached answer. Otherwise it returns a *Denied, an *Unavailable, or the cause of
// the end of ctx. It blocks for the timeout at most.
func (a *Asker) Allowed(ctx context.Context, q Question) error {
	if len(q.Channels) == 0 {
		return &Unavailable{Err: errNoChannel}
	}
	unknown, denied := a.cache.find(&q)
	switch {
	case denied != nil:
		a.cached.Add(1)
		return denied
	case len(unknown) == 0:
		a.cached.Add(1)
		return nil
	}
	q.Channels = unknown
	got, err := a.ask(ctx, &q)
	if err != nil {
		return err
	}
	a.cache.put(&q, got)
	if !got.allow {
		a.denied.Add(1)
		return &Denied{q.Action, q.Channels, got.reason}
	}
	a.allowed.Add(1)
	return nil
}

// Service sends a message of a client to the application, which nothing but the
// application gets. q has the Action Service, one channel and the Data. It returns the
// data of the answer, nil if that has none. Errors and blocking are as in Allowed; no answer
// is cached.
func (a *Asker) Service(ctx context.Context, q Question) (reply json.RawMessage, err error) {
	got, err := a.ask(ctx, &q)
	if err != nil {
		return nil, err
	}
	if !got.allow {
		a.denied.Add(1)
		return nil, &Denied{q.Action, q.Channels, got.reason}
	}
	a.allowed.Add(1)
	if got.data == "" {
		return nil, nil
	}
	return json.RawMessage(got.data), nil
}

// Cached is Allowed for callers that must not block. known reports whether cached
// answers decide q, and answer is the decision. Allowed returns why q is denied.
func (a *Asker) Cached(q Question) (answer, known bool) {
	if len(q.Channels) == 0 {
		return false, false
	}
	unknown, denied := a.cache.find(&q)
	if denied != nil {
		return false, true
	}
	if len(unknown) > 0 {
		return false, false
	}
	a.cached.Add(1) // a denial is counted in Allowed
	return true, true
}

// ask asks the application, unless it is busy or the breaker is open.
func (a *Asker) ask(ctx context.Context, q *Question) (answer, error) {
	limited, cancel := context.WithTimeout(ctx, a.options.Timeout)
	defer cancel()
	leave, ok := a.acquireSlot(limited, q)
	if !ok {
		if ctx.Err() != nil {
			return answer{}, context.Cause(ctx)
		}
		a.skipped.Add(1)
		return answer{}, &Unavailable{Err: errBusy}
	}
	defer leave()
	pass, wait, ok := a.breaker.allow(q.identity())
	if !ok {
		a.skipped.Add(1)
		return answer{}, &Unavailable{Wait: wait, Err: errResting}
	}
	began := time.Now()
	got, err := a.post(limited, q)
	switch {
	case err == nil:
		a.succeeded(ctx, pass)
		return got, nil
	case ctx.Err() != nil:
		a.breaker.discarded(pass)
		return answer{}, context.Cause(ctx)
	case limited.Err() != nil && time.Since(began) < a.options.Timeout/2:
		// Most of the timeout passed before the question was sent, so a healthy
		// application could not answer in time either: this is not a failure.
		a.skipped.Add(1)
		a.breaker.discarded(pass)
		return answer{}, &Unavailable{Err: errBusy}
	case limited.Err() != nil:
		err = fmt.Errorf("no answer within %v", a.options.Timeout)
	}
	a.hasFailed(ctx, pass, err)
	return answer{}, &Unavailable{Err: err}
}

// acquireSlot waits for a slot of the client and a slot of the Asker, or for the end
// of ctx. If ok, leave must be called.
func (a *Asker) acquireSlot(ctx context.Context, q *Question) (leave func(), ok bool) {
	leaveLane, ok := a.lanes.acquire(ctx, q.identity())
	if !ok {
		return nil, false
	}
	select {
	case a.slots <- struct{}{}:
		return func() {
			<-a.slots
			leaveLane()
		}, true
	case <-ctx.Done():
		leaveLane()
		return nil, false
	}
}

// post asks once. A 2xx with a valid body is an answer. A 4xx with any body is a
// denial, except for 408 and 429, which are failures.
func (a *Asker) post(ctx context.Context, q *Question) (answer, error) {
	status, text, err := a.caller.post(ctx, q.body(a.options.Node))
	switch {
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		return a.refused(ctx, status, text), nil
	case err != nil:
		return answer{}, err
	case len(text) > maxAnswer:
		return answer{}, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	case status >= 200 && status < 300:
		return parseAnswer(text)
	}
	return answer{}, fmt.Errorf("the answer has status %d, not 2xx", status)
}

// refused returns the denial that a status of 4xx means, with the reason in the body
// if there is one. It is not cached, and is logged now and then: often the cause is
// a wrong URL or secret.
func (a *Asker) refused(ctx context.Context, status int, text []byte) answer {
	if a.refusals.Allow() {
		a.options.Logger.WarnContext(ctx, "hook answered with a client error; treated as denied", "setting", "auth.hook.url", "status", status)
	}
	got, err := parseAnswer(text)
	if err != nil || got.allow {
		return answer{}
	}
	return answer{reason: got.reason}
}

func (a *Asker) succeeded(ctx context.Context, pass ticket) {
	if a.breaker.succeeded(pass) {
		a.options.Logger.InfoContext(ctx, "hook recovered", "setting", "auth.hook.url")
	}
}

func (a *Asker) hasFailed(ctx context.Context, pass ticket, err error) {
	a.failed.Add(1)
	if a.breaker.hasFailed(pass) {
		a.options.Logger.WarnContext(ctx, "hook failed; breaker opened", "setting", "auth.hook.url",
			"failures", a.options.Failures, "pause", a.options.Pause, "error", err)
	}
}

// Close closes idle connections. Questions in flight go on.
func (a *Asker) Close() { a.caller.close() }

// AskerStats are counters of an Asker since its start.
type AskerStats struct {
	Allowed int64 // by an answer of the application
	Denied  int64 // by an answer of the application
	Cached  int64 // decided by cached answers
	Failed  int64 // asked, without a valid answer in time
	Skipped int64 // not asked, or too late: too many questions, or an open breaker
	Open    bool  // whether the breaker is open now
}

// Stats may be called at any time.
func (a *Asker) Stats() AskerStats {
	return AskerStats{
		Allowed: a.allowed.Load(),
		Denied:  a.denied.Load(),
		Cached:  a.cached.Load(),
		Failed:  a.failed.Load(),
		Skipped: a.skipped.Load(),
		Open:    a.breaker.open(),
	}
}
