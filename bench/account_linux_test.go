package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	fakeSubscribers = 5
	fakeMessages    = 20
)

// honest sends each message to every subscriber once.
func honest(_, _ int, message string) []string { return []string{message} }

func TestRunAccountsForEveryMessage(t *testing.T) {
	var held string // a message that is kept back
	for _, test := range []struct {
		name       string
		publishers int
		mangle     func(subscriber, index int, message string) []string
		want       Trouble
	}{
		{"honest", 1, honest, Trouble{}},
		{"honest, three publishers", 3, honest, Trouble{}},
		{"a message is lost", 1, func(subscriber, index int, message string) []string {
			if subscriber == 1 && index == 3 {
				return nil
			}
			return []string{message}
		}, Trouble{Lost: 1}},
		{"the last message is lost", 1, func(subscriber, index int, message string) []string {
			if subscriber == 1 && index == fakeMessages-1 {
				return nil
			}
			return []string{message}
		}, Trouble{Lost: 1}},
		{"a message comes twice", 1, func(subscriber, index int, message string) []string {
			if subscriber == 1 && index == fakeMessages-1 {
				return []string{message, message}
			}
			return []string{message}
		}, Trouble{Repeated: 1}},
		{"two messages are swapped", 1, func(subscriber, index int, message string) []string {
			switch {
			case subscriber != 1 || index < 3 || index > 4:
				return []string{message}
			case index == 3:
				held = message
				return nil
			}
			return []string{message, held}
		}, Trouble{OutOfOrder: 1, Orders: 1}},
		{"a message of another run", 1, func(subscriber, index int, message string) []string {
			if subscriber == 1 && index == 0 {
				return []string{string((&payloadHeader{}).append(nil, MinSize)), message}
			}
			return []string{message}
		}, Trouble{Unknown: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			plan := Plan{
				Target:      Target{Preset: "nchan", Nodes: []string{startFake(t, test.mangle)}},
				Subscribers: fakeSubscribers, Messages: fakeMessages, Publishers: test.publishers,
			}
			if test.want.Lost > 0 {
				plan.Patience = lossPatience
			}
			r := mustRun(t, plan, inTest())
			if len(r.Trouble.Errors) > 0 {
				t.Errorf("errors %v", r.Trouble.Errors)
			}
			if got := fmt.Sprintf("%+v", r.Trouble); got != fmt.Sprintf("%+v", test.want) {
				t.Errorf("trouble %s, want %+v", got, test.want)
			}
			d := r.Delivery
			if want := fakeSubscribers*fakeMessages - test.want.Lost; d.Received != want || d.Expected != fakeSubscribers*fakeMessages {
				t.Errorf("%d deliveries of %d, want %d", d.Received, d.Expected, want)
			}
			if l := d.Latency; l.P50 <= 0 || l.P99 < l.P50 || l.Max < l.P99 || l.Max > 60_000 || l.Count != d.Received {
				t.Errorf("latency %+v", l)
			}
			checkTimeline(t, r)
		})
	}
}

// The seconds of the timeline add up to the result.
func checkTimeline(t *testing.T, r *Result) {
	t.Helper()
	var deliveries, requests int64
	published := 0
	for _, s := range r.Timeline {
		deliveries += s.Deliveries
		requests += s.Requests
		published += s.Published
	}
	if deliveries != r.Delivery.Received || requests != r.Delivery.Requests || published != r.Publish.Acknowledged {
		t.Errorf("the timeline has %d deliveries, %d requests, %d publishes; the result %d, %d, %d",
			deliveries, requests, published, r.Delivery.Received, r.Delivery.Requests, r.Publish.Acknowledged)
	}
}

// A fake without history ends a stream. Its subscriber reconnects, and messages
// published meanwhile are lost.
func TestRunComesBackToAStreamThatEnded(t *testing.T) {
	t.Parallel()
	url := startFake(t, func(subscriber, index int, message string) []string {
		if subscriber == 1 && index == 5 {
			return []string{""}
		}
		return []string{message}
	})
	plan := Plan{
		Target:      Target{Preset: "nchan", Nodes: []string{url}},
		Subscribers: fakeSubscribers, Messages: 40, Rate: 40, Patience: lossPatience,
	}
	r := mustRun(t, plan, inTest())
	if r.Trouble.Errors[kindClosed] != 1 || len(r.Trouble.Errors) != 1 || r.Resume.Count != 1 {
		t.Errorf("errors %v, resume %+v", r.Trouble.Errors, r.Resume)
	}
	if lost := r.Trouble.Lost; lost < 1 || lost > 34 || r.Delivery.Received+lost != r.Delivery.Expected {
		t.Errorf("%d lost, %d received, %d expected", lost, r.Delivery.Received, r.Delivery.Expected)
	}
}

func TestRunPollsInNchansDialect(t *testing.T) {
	t.Parallel()
	for _, transport := range []Transport{LongPoll, Mixed} {
		plan := Plan{
			Target:      Target{Preset: "nchan", Nodes: []string{startFake(t, nil)}},
			Subscribers: fakeSubscribers, Messages: fakeMessages, Channels: 2, Transport: transport,
		}
		r := mustRun(t, plan, inTest())
		if !r.Trouble.None() || r.Delivery.Received != r.Delivery.Expected || r.Delivery.Received == 0 {
			t.Errorf("%s: %d deliveries of %d, %+v", transport, r.Delivery.Received, r.Delivery.Expected, r.Trouble)
		}
	}
}

func TestRunChurns(t *testing.T) {
	for _, transport := range []Transport{SSE, LongPoll, ShortPoll} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			plan := Plan{
				Target:      Target{Nodes: startCluster(t, 2).urls},
				Subscribers: 60, Channels: 3, Publishers: 2, Transport: transport, Interval: 50 * time.Millisecond,
				Rate: 200, Duration: 2 * time.Second, Churn: 0.5, Seed: 3,
			}
			r := mustRun(t, plan, inTest())
			if !r.Trouble.None() || r.Delivery.Received != r.Delivery.Expected {
				t.Errorf("%d deliveries of %d, %+v", r.Delivery.Received, r.Delivery.Expected, r.Trouble)
			}
			if r.Resume.Count < 20 || r.Resume.Max <= 0 {
				t.Errorf("resumed %+v", r.Resume)
			}
		})
	}
}

// One of two nodes ends in the middle: its subscribers go on at the other one.
func TestRunSurvivesANode(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 2)
	killed := false
	options := inTest()
	options.Progress = func(s Second) {
		if s.Phase == phaseDeliver && !killed {
			killed = true
			c.stop[1]()
		}
	}
	plan := Plan{
		Target:      Target{Nodes: c.urls},
		Subscribers: 40, Channels: 2, Publishers: 2, Rate: 100, Duration: 3 * time.Second,
	}
	r := mustRun(t, plan, options)
	if !killed || r.Trouble.Lost != 0 || r.Trouble.Repeated != 0 || r.Trouble.OutOfOrder != 0 || r.Delivery.Received != r.Delivery.Expected {
		t.Errorf("%d deliveries of %d, %+v", r.Delivery.Received, r.Delivery.Expected, r.Trouble)
	}
	if len(r.Trouble.Errors) == 0 || r.Resume.Count == 0 {
		t.Errorf("errors %v, resume %+v: nothing happened", r.Trouble.Errors, r.Resume)
	}
}

// All nodes end: the run ends too, and reports it.
func TestRunEndsWithItsServer(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1)
	options := inTest()
	options.Progress = func(s Second) {
		if s.Phase == phaseDeliver {
			c.stop[0]()
		}
	}
	plan := Plan{
		Target:      Target{Nodes: c.urls},
		Subscribers: 20, Publishers: 2, Rate: 50, Duration: 3 * time.Second, Patience: time.Second,
	}
	r := mustRun(t, plan, options)
	if r.Trouble.Errors[kindRefused] == 0 || r.Trouble.Errors["publish "+kindRefused] == 0 || r.Publish.Failed+r.Publish.Unknown == 0 {
		t.Errorf("errors %v, published %+v", r.Trouble.Errors, r.Publish)
	}
	if last := r.Timeline[len(r.Timeline)-1]; last.Connected != 0 {
		t.Errorf("%d are connected in the end", last.Connected)
	}
}

func TestRunIsInterrupted(t *testing.T) {
	for _, phase := range []string{phaseArrive, phaseSettle, phaseDeliver} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			options := inTest()
			options.Progress = func(s Second) {
				if s.Phase == phase && (phase != phaseDeliver || s.Deliveries > 0) {
					cancel(ErrInterrupted)
				}
			}
			plan := Plan{
				Target:      Target{Nodes: startCluster(t, 1).urls},
				Subscribers: 20, Rate: 50, Duration: time.Hour, Ramp: 1500 * time.Millisecond, Settle: 1500 * time.Millisecond,
			}
			r, err := Run(ctx, plan, options)
			if err != nil {
				t.Fatal(err)
			}
			if !r.Interrupted || !r.Trouble.None() || (r.Delivery.Received > 0) != (phase == phaseDeliver) || r.Delivery.Received != r.Delivery.Expected {
				t.Errorf("interrupted %v, %d deliveries of %d, %+v", r.Interrupted, r.Delivery.Received, r.Delivery.Expected, r.Trouble)
			}
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ErrInterrupted)
	plan := Plan{Target: Target{Nodes: []string{startFake(t, nil)}, Preset: "nchan"}, Subscribers: 1}
	if _, err := Run(ctx, plan, inTest()); !errors.Is(err, ErrInterrupted) {
		t.Errorf("before the load: error %v", err)
	}
}

// unsteady fails the first publishes of each message.
type unsteady struct {
	http.Handler
	trouble func(w http.ResponseWriter, r *http.Request, attempt int) bool
	seen    map[string]int
}

func (u *unsteady) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	if key == "" || strings.Contains(key, "probe") {
		u.Handler.ServeHTTP(w, r)
		return
	}
	u.seen[key]++ // there is one publisher
	if !u.trouble(w, r, u.seen[key]) {
		u.Handler.ServeHTTP(w, r)
	}
}

func TestPublishesAreRepeatedUntilDecided(t *testing.T) {
	for _, test := range []struct {
		name     string
		patience time.Duration
		trouble  func(w http.ResponseWriter, r *http.Request, attempt int) bool
		check    func(p *Publish) bool
	}{
		{"503 once", 0, func(w http.ResponseWriter, _ *http.Request, attempt int) bool {
			if attempt == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return attempt == 1
		}, func(p *Publish) bool { return p.Acknowledged == 5 && p.Retried == 5 }},
		{"refused", 0, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.WriteHeader(http.StatusForbidden)
			return true
		}, func(p *Publish) bool { return p.Failed == 5 && p.Retried == 0 }},
		{"never decided", 500 * time.Millisecond, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}, func(p *Publish) bool { return p.Unknown > 0 && p.Acknowledged+p.Failed == 0 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			handler, _ := newGateway(t, newBroker())
			url := serve(t, &unsteady{handler, test.trouble, make(map[string]int)})
			plan := Plan{Target: Target{Nodes: []string{url}}, Subscribers: 3, Messages: 5, Patience: test.patience}
			r := mustRun(t, plan, inTest())
			if !test.check(&r.Publish) || r.Trouble.Lost != 0 || r.Trouble.Repeated != 0 || r.Delivery.Received != r.Delivery.Expected ||
				int(r.Delivery.Received) != 3*r.Publish.Acknowledged {
				t.Errorf("published %+v, delivered %d of %d, trouble %+v", r.Publish, r.Delivery.Received, r.Delivery.Expected, r.Trouble)
			}
		})
	}
}
