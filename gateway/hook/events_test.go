package hook

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// receiver takes batches, unless a test sets what goes wrong first.
type receiver struct {
	t      testing.TB
	mu     sync.Mutex
	status []int // of the next answers; then 200
	all    [][]Event
	when   []time.Time
}

func (r *receiver) take(_ *http.Request, body []byte) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var batch []Event
	if err := json.Unmarshal(body, &batch); err != nil || len(batch) == 0 || len(batch) > maxBatch {
		r.t.Errorf("a batch of %d: %v", len(batch), err)
	}
	r.all, r.when = append(r.all, batch), append(r.when, time.Now())
	if len(r.status) > 0 {
		status := r.status[0]
		r.status = r.status[1:]
		if status == 0 {
			return nil, errors.New("connection reset")
		}
		return reply(status, "")
	}
	return reply(200, "")
}

// batches is what came, and when.
func (r *receiver) batches() ([][]Event, []time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all), slices.Clone(r.when)
}

// newEvents makes Events that post to a.
func newEvents(t testing.TB, o EventsOptions, a application) *Events {
	t.Helper()
	o.Endpoint, o.Node = endpoint, "n1"
	e, err := NewEvents(o)
	if err != nil {
		t.Fatal(err)
	}
	e.caller.client.Transport = a
	return e
}

func mustClose(t testing.TB, e *Events) {
	t.Helper()
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEventsFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got string
		e := newEvents(t, EventsOptions{}, func(_ *http.Request, body []byte) (*http.Response, error) {
			got = string(body)
			return reply(204, "")
		})
		time.Sleep(time.Hour + 162*time.Millisecond)
		e.Connected("alice", "sse")
		e.FirstSubscriber("chat/1")
		e.LastSubscriberLeft("chat/1")
		e.Disconnected("alice", "sse", "token-expired")
		e.Connected("", "poll")
		mustClose(t, e)
		const head = `"time":"2000-01-01T01:00:00.162Z","node":"n1","event":`
		want := `[{"id":"R-1",` + head + `"connected","user":"alice","transport":"sse"},` +
			`{"id":"R-2",` + head + `"first-subscriber","channel":"chat/1"},` +
			`{"id":"R-3",` + head + `"last-subscriber-left","channel":"chat/1"},` +
			`{"id":"R-4",` + head + `"disconnected","user":"alice","transport":"sse","reason":"token-expired"},` +
			`{"id":"R-5",` + head + `"connected","transport":"poll"}]`
		if want = strings.ReplaceAll(want, "R-", e.queue.run+"-"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		e := newEvents(t, EventsOptions{}, r.take)
		began := time.Now()
		e.FirstSubscriber("a")
		time.Sleep(600 * time.Millisecond)
		e.FirstSubscriber("b")
		time.Sleep(600 * time.Millisecond)
		all, when := r.batches()
		if len(all) != 1 || len(all[0]) != 2 || when[0].Sub(began) != time.Second {
			t.Errorf("got %v at %v", all, when)
		}
		for i := range 250 {
			e.FirstSubscriber(fmt.Sprint(i))
		}
		synctest.Wait()
		if all, _ = r.batches(); len(all) != 3 || len(all[1]) != 100 || len(all[2]) != 100 {
			t.Errorf("%d batches before the second is over, want 3", len(all))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if all, _ = r.batches(); len(all) != 4 || len(all[3]) != 50 || all[3][49].Channel != "249" {
			t.Errorf("%d batches, want 4", len(all))
		}
		if s := e.Stats(); s != (EventsStats{Delivered: 252}) {
			t.Errorf("got %+v", s)
		}
		mustClose(t, e)
		if all, _ = r.batches(); len(all) != 4 {
			t.Errorf("Close delivered more: %v", all[4:])
		}
	})
}

func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logbook
		r := &receiver{t: t, status: []int{500, 0, 401, 404, 429, 302, 503, 502}}
		e := newEvents(t, EventsOptions{Logger: log.logger()}, r.take)
		e.FirstSubscriber("a")
		time.Sleep(1100 * time.Millisecond)
		e.FirstSubscriber("b")
		time.Sleep(10 * time.Minute)
		all, when := r.batches()
		if s := e.Stats(); s != (EventsStats{Delivered: 2, Failures: 8}) || len(all) != 10 {
			t.Fatalf("got %+v", s)
		}
		first := all[0][0].ID
		for i := 1; i < 9; i++ {
			if len(all[i]) != 1 || all[i][0].ID != first {
				t.Errorf("%v is repeated as %v", all[0], all[i])
			}
			nominal := min(firstPause<<(i-1), longestPause)
			if pause := when[i].Sub(when[i-1]); pause < nominal/2 || pause > nominal {
				t.Errorf("pause %d is %v, want up to %v", i, pause, nominal)
			}
		}
		if all[9][0].Channel != "b" || all[9][0].ID == first {
			t.Errorf("then %v", all[9])
		}
		mustClose(t, e)
		text := log.String()
		wantSilent(t, text)
		if strings.Count(text, "\n") != 2 || !strings.Contains(text, "event delivery failed") || !strings.Contains(text, "event delivery recovered") {
			t.Errorf("the log is\n%s", text)
		}
	})
}

// A batch that the application refuses is lost, is reported as lost, and does not
// hold up the next ones.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t, status: []int{400, 413, 422}}
		e := newEvents(t, EventsOptions{}, r.take)
		for _, channel := range []string{"a", "b", "c", "d"} {
			e.FirstSubscriber(channel)
			time.Sleep(2 * time.Second)
		}
		all, _ := r.batches()
		if len(all) != 4 || len(all[3]) != 2 || all[3][0].Kind != Dropped || all[3][0].Count != 3 || all[3][1].Channel != "d" {
			t.Errorf("got %+v", all)
		}
		if s := e.Stats(); s != (EventsStats{Delivered: 1, Dropped: 3, Failures: 3}) {
			t.Errorf("got %+v", s)
		}
		mustClose(t, e)
	})
}

// The oldest events are lost, and reporting never blocks.
func TestOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		resume := make(chan struct{})
		e := newEvents(t, EventsOptions{Queue: 200}, func(q *http.Request, body []byte) (*http.Response, error) {
			select {
			case <-resume:
				return r.take(q, body)
			case <-q.Context().Done():
				return nil, q.Context().Err()
			}
		})
		began := time.Now()
		e.FirstSubscriber("in hand")
		time.Sleep(1500 * time.Millisecond)
		for i := range 1000 {
			e.FirstSubscriber(fmt.Sprint(i))
		}
		if took := time.Since(began); took != 1500*time.Millisecond {
			t.Errorf("reporting took %v", took)
		}
		if s := e.Stats(); s.Waiting != 201 || s.Dropped != 800 {
			t.Errorf("got %+v", s)
		}
		close(resume)
		mustClose(t, e)
		all, _ := r.batches()
		if len(all) != 4 || all[0][0].Channel != "in hand" {
			t.Fatalf("%d batches", len(all))
		}
		if first := all[1][0]; first.Kind != Dropped || first.Count != 800 || first.ID == "" || all[1][1].Channel != "800" {
			t.Errorf("it begins with %+v", all[1][:2])
		}
		seen := map[string]bool{}
		for _, batch := range all {
			for _, event := range batch {
				if seen[event.ID] {
					t.Errorf("%s twice", event.ID)
				}
				seen[event.ID] = true
			}
		}
		if s := e.Stats(); len(seen) != 202 || s.Delivered != 201 || s.Dropped != 800 || s.Waiting != 0 {
			t.Errorf("%d events, %+v", len(seen), s)
		}
	})
}

func TestReportConcurrently(t *testing.T) {
	r := &receiver{t: t}
	e := newEvents(t, EventsOptions{}, r.take)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 500 {
				e.Connected(fmt.Sprint(worker), fmt.Sprint(i))
				e.Stats()
				if worker == 7 && i == 250 {
					mustClose(t, e)
				}
			}
		})
	}
	all.Wait()
	mustClose(t, e)
	next := map[string]int{} // by user: the order must be theirs
	var told int64
	batches, _ := r.batches()
	for _, batch := range batches {
		for _, event := range batch {
			if want := fmt.Sprint(next[event.User]); event.Transport != want {
				t.Errorf("user %s: %s, want %s", event.User, event.Transport, want)
			}
			next[event.User]++
			told++
		}
	}
	if s := e.Stats(); s.Delivered != told || s.Delivered+s.Dropped != 4000 || s.Waiting != 0 || told < 251 {
		t.Errorf("%d delivered, %+v", told, s)
	}
}
