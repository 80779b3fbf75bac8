package hook

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// AskerOptions is whom to ask, and how. Zero values mean the default, but for
// the endpoint, which is needed.
type AskerOptions struct {
	Endpoint
	Node        string        // this node's name
	Timeout     time.Duration // from question to answer; default 1s
	Concurrency int           // questions at a time, a quarter of them of one user or address; more wait, within the timeout; default 64
	Remembered  int           // answers at most; about 28 MiB at the longest names; default 32768
	Failures    int           // of different users, addresses or questions of keys in a row, after which nothing is asked for a while; default 5
	Pause       time.Duration // how long that is; default 5s
	Logger      *slog.Logger  // default: none
}

// Asker asks the application whether somebody may do something. Its methods may
// be called concurrently.
type Asker struct {
	options AskerOptions
	caller  *caller
	slots   chan struct{} // has one item per question under way
	lanes   *lanes
	breaker *breaker
	cache   *cache

	refusals                                 *rate.Limiter // of warnings about answers of 4xx
	allowed, denied, cached, failed, skipped atomic.Int64
}

// NewAsker makes an Asker. Its error names everything that is wrong, but no
// secret. It starts nothing; Close it in the end.
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
		cache:   newCache(o.Remembered),

		refusals: rate.NewLimiter(rate.Every(time.Minute), 1),
	}, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Allowed is nil only if the application, now or in an answer that still
// counts, says yes to every channel of q. Else it is a *Denied, an
// *Unavailable, or the cause of ctx's end. It waits for the timeout at most.
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

// Cached is for who must not wait: known says whether remembered answers decide
// q, and answer is how. If it is no, Allowed tells why.
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
	a.cached.Add(1) // a no counts when Allowed tells it
	return true, true
}

// ask asks the URL, if it may be asked now.
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
		// It had waited so long for its turn that a URL in good health could
		// not have answered in time either. What had its turn at once tells more.
		a.skipped.Add(1)
		a.breaker.discarded(pass)
		return answer{}, &Unavailable{Err: errBusy}
	case limited.Err() != nil:
		err = fmt.Errorf("none came within %v", a.options.Timeout)
	}
	a.hasFailed(ctx, pass, err)
	return answer{}, &Unavailable{Err: err}
}

// acquireSlot waits for a slot of the asker and one of all, or for the end of ctx.
// If ok, leave must be called.
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

// post asks once. A good body with any 2xx is an answer, and so is a 4xx with any
// body: no. But 408 and 429 say that there is none yet.
func (a *Asker) post(ctx context.Context, q *Question) (answer, error) {
	status, text, err := a.caller.post(ctx, q.body(a.options.Node))
	switch {
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		return a.refused(ctx, status, text), nil
	case err != nil:
		return answer{}, err
	case len(text) > maxAnswer:
		return answer{}, fmt.Errorf("it has more than %d bytes", maxAnswer)
	case status >= 200 && status < 300:
		return parseAnswer(text)
	}
	return answer{}, fmt.Errorf("its status is %d, not 2xx", status)
}

// refused is the answer that a status of 4xx is, with the reason that the body
// may have. It is never remembered: often it means a mistake, as a wrong URL or
// secret, so the log tells of it now and then.
func (a *Asker) refused(ctx context.Context, status int, text []byte) answer {
	if a.refusals.Allow() {
		a.options.Logger.WarnContext(ctx, "hook answers with a client error; it counts as no", "setting", "auth.hook.url", "status", status)
	}
	got, err := parseAnswer(text)
	if err != nil || got.allow {
		return answer{}
	}
	return answer{reason: got.reason}
}

func (a *Asker) succeeded(ctx context.Context, pass ticket) {
	if a.breaker.succeeded(pass) {
		a.options.Logger.InfoContext(ctx, "hook answers again", "setting", "auth.hook.url")
	}
}

func (a *Asker) hasFailed(ctx context.Context, pass ticket, err error) {
	a.failed.Add(1)
	if a.breaker.hasFailed(pass) {
		a.options.Logger.WarnContext(ctx, "hook fails; it is not asked for a while", "setting", "auth.hook.url",
			"failures", a.options.Failures, "pause", a.options.Pause, "error", err)
	}
}

// Close lets go of idle connections. Questions that are under way end by
// themselves.
func (a *Asker) Close() { a.caller.close() }

// AskerStats is what an Asker counts, since the start.
type AskerStats struct {
	Allowed int64 // by an answer of the URL
	Denied  int64 // by an answer of the URL
	Cached  int64 // decided by remembered answers
	Failed  int64 // asked, and no answer that could be used came in time
	Skipped int64 // not asked, or too late: too many at a time, or left alone
	Open    bool  // now: it fails and is left alone
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
