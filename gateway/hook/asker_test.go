package hook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// newAsker makes one that asks a.
func newAsker(t testing.TB, o AskerOptions, a application) *Asker {
	t.Helper()
	o.Endpoint, o.Node = endpoint, "n1"
	asker, err := NewAsker(o)
	if err != nil {
		t.Fatal(err)
	}
	asker.caller.client.Transport = a
	return asker
}

func yes(*http.Request, []byte) (*http.Response, error) { return reply(200, `{"allow":true}`) }

func wantUnavailable(t testing.TB, err error) {
	t.Helper()
	if _, ok := errors.AsType[*Unavailable](err); !ok {
		t.Fatalf("got %v, want an *Unavailable", err)
	}
	wantSilent(t, err.Error())
}

func TestQuestion(t *testing.T) {
	for want, q := range map[string]Question{
		`{"action":"subscribe","user":"alice","key":"","channel":"chat/1","address":"192.0.2.1","node":"n1"}`: {
			Action: Subscribe, User: "alice", Channels: []string{"chat/1"}, Address: netip.MustParseAddr("192.0.2.1")},
		`{"action":"publish","user":"","key":"shop","channels":["a","b"],"address":"2001:db8::1","node":"n1"}`: {
			Action: Publish, Key: "shop", Channels: []string{"a", "b"}, Address: netip.MustParseAddr("2001:db8::1")},
		`{"action":"publish","user":"alice","key":"","from":"alice","channel":"a","address":"","node":"n1"}`: {
			Action: Publish, User: "alice", From: "alice", Channels: []string{"a"}},
		`{"action":"publish","user":"","key":"","channel":"a","address":"","node":"n1"}`: {
			Action: Publish, Channels: []string{"a"}},
	} {
		a := newAsker(t, AskerOptions{}, func(r *http.Request, body []byte) (*http.Response, error) {
			if string(body) != want || r.Method != http.MethodPost {
				t.Errorf("sent %s\nwant %s", body, want)
			}
			return reply(200, `{"allow":true}`)
		})
		if err := a.Allowed(t.Context(), q); err != nil {
			t.Error(err)
		}
	}
}

func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		a := newAsker(t, AskerOptions{}, func(_ *http.Request, body []byte) (*http.Response, error) {
			asked = append(asked, string(body))
			return reply(200, fmt.Sprintf(`{"allow":%v,"reason":"You are banned.","for":10}`, !strings.Contains(string(body), "mallory")))
		})
		alice, mallory := *asks("alice", "a"), *asks("mallory", "a")
		if _, known := a.Cached(alice); known {
			t.Error("known before it was asked")
		}
		for range 3 {
			if err := a.Allowed(t.Context(), alice); err != nil {
				t.Error(err)
			}
			err := a.Allowed(t.Context(), mallory)
			denied, ok := errors.AsType[*Denied](err)
			if !ok || denied.Reason != "You are banned." || err.Error() != `You may not subscribe to channel "a": You are banned.` {
				t.Errorf("got %v", err)
			}
		}
		if answer, known := a.Cached(alice); !answer || !known {
			t.Errorf("alice: %v, %v", answer, known)
		}
		if answer, known := a.Cached(mallory); answer || !known {
			t.Errorf("mallory: %v, %v", answer, known)
		}
		// Only what is not known is asked.
		if err := a.Allowed(t.Context(), *asks("alice", "a", "b", "c")); err != nil {
			t.Error(err)
		}
		if answer, known := a.Cached(*asks("alice", "c", "b")); !answer || !known {
			t.Errorf("several: %v, %v", answer, known)
		}
		if len(asked) != 3 || !strings.Contains(asked[2], `"channels":["b","c"]`) {
			t.Errorf("asked %q", asked)
		}
		time.Sleep(10 * time.Second)
		if _, known := a.Cached(alice); known {
			t.Error("known after its time")
		}
		if s := a.Stats(); s != (AskerStats{Allowed: 2, Denied: 1, Cached: 6}) {
			t.Errorf("got %+v", s)
		}
	})
}

func TestDeniedSeveral(t *testing.T) {
	a := newAsker(t, AskerOptions{}, func(*http.Request, []byte) (*http.Response, error) {
		return reply(200, `{"allow":false,"for":10}`)
	})
	err := a.Allowed(t.Context(), *asks("alice", "a", "b"))
	if want := "You may not subscribe to these 2 channels together: the application denied it (auth.hook.url)."; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if _, known := a.Cached(*asks("alice", "a")); known {
		t.Error("one of them counts as denied")
	}
}

func TestNoChannel(t *testing.T) {
	a := newAsker(t, AskerOptions{}, yes)
	wantUnavailable(t, a.Allowed(t.Context(), *asks("alice")))
	if answer, known := a.Cached(*asks("alice")); answer || known {
		t.Error("nothing is allowed")
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsker(t, AskerOptions{}, hang)
		began := time.Now()
		wantUnavailable(t, a.Allowed(t.Context(), *asks("alice", "a")))
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v", took)
		}
		// A client that disconnects gets its own error, and is no failure of the hook.
		gone := errors.New("gone")
		for range 10 {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Millisecond, func() { cancel(gone) })
			if err := a.Allowed(ctx, *asks("alice", "a")); !errors.Is(err, gone) {
				t.Errorf("got %v", err)
			}
		}
		if s := a.Stats(); s != (AskerStats{Failed: 1}) {
			t.Errorf("got %+v", s)
		}
	})
}

func TestLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logbook
		var good atomic.Bool
		var asked atomic.Int64
		a := newAsker(t, AskerOptions{Logger: log.logger()}, func(r *http.Request, body []byte) (*http.Response, error) {
			asked.Add(1)
			if good.Load() {
				return reply(200, `{"allow":true,"for":60}`)
			}
			return reply(500, `{"allow":true}`)
		})
		for i := range 100 {
			wantUnavailable(t, a.Allowed(t.Context(), *asks(fmt.Sprint("user-", i), "a")))
		}
		time.Sleep(time.Second)
		err := a.Allowed(t.Context(), *asks("alice", "a"))
		if u, ok := errors.AsType[*Unavailable](err); !ok || u.Wait != 4*time.Second {
			t.Errorf("got %#v", err)
		}
		if s := a.Stats(); s != (AskerStats{Failed: 5, Skipped: 96, Open: true}) || asked.Load() != 5 {
			t.Errorf("got %+v", s)
		}
		good.Store(true)
		wantUnavailable(t, a.Allowed(t.Context(), *asks("alice", "a")))
		time.Sleep(4 * time.Second)
		for range 10 {
			if err := a.Allowed(t.Context(), *asks("alice", "a")); err != nil {
				t.Error(err)
			}
		}
		if a.Stats().Open {
			t.Error("the breaker is still open")
		}
		text := log.String()
		wantSilent(t, text)
		if strings.Count(text, "\n") != 2 || !strings.Contains(text, "hook failed") || !strings.Contains(text, "hook recovered") {
			t.Errorf("the log is\n%s", text)
		}
	})
}

// Cached answers count while the application is down.
func TestRememberedWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		a := newAsker(t, AskerOptions{}, func(*http.Request, []byte) (*http.Response, error) {
			if away.Load() {
				return nil, errors.New("connection refused")
			}
			return reply(200, `{"allow":true,"for":60}`)
		})
		for i := range 20 {
			if err := a.Allowed(t.Context(), *asks("alice", "a")); err != nil {
				t.Errorf("time %d: %v", i, err)
			}
			away.Store(true)
			wantUnavailable(t, a.Allowed(t.Context(), *asks("eve", "a")))
		}
	})
}

// A client whose questions fail, or are never answered, costs others nothing.
func TestOneClientHarmsNoOther(t *testing.T) {
	for name, bad := range map[string]application{
		"400":   func(*http.Request, []byte) (*http.Response, error) { return reply(400, "no such room") },
		"500":   func(*http.Request, []byte) (*http.Response, error) { return reply(500, "") },
		"hangs": hang,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAsker(t, AskerOptions{Concurrency: 8}, func(r *http.Request, body []byte) (*http.Response, error) {
					if strings.Contains(string(body), "mallory") {
						return bad(r, body)
					}
					return reply(200, `{"allow":true}`)
				})
				ctx, cancel := context.WithCancel(t.Context())
				var flood sync.WaitGroup
				for i := range 20 {
					flood.Go(func() {
						for j := 0; ctx.Err() == nil; j++ {
							if a.Allowed(ctx, *asks("mallory", fmt.Sprint(i, "/", j))) == nil {
								t.Error("mallory is allowed")
							}
							time.Sleep(100 * time.Millisecond)
						}
					})
				}
				for i := range 60 {
					time.Sleep(100 * time.Millisecond)
					began := time.Now()
					if err := a.Allowed(t.Context(), *asks(fmt.Sprint("user-", i), "a")); err != nil || time.Since(began) > 0 {
						t.Fatalf("question %d: %v after %v", i, err, time.Since(began))
					}
				}
				cancel()
				flood.Wait()
			})
		})
	}
}

// A status of 4xx is a no that is not remembered; its reason is shown if it is one.
func TestClientErrorIsNo(t *testing.T) {
	for _, test := range []struct {
		status       int
		body, reason string
	}{
		{400, "no such room", ""}, {401, `{"allow":true,"for":60}`, ""}, {404, "", ""}, {404, strings.Repeat("<p>", maxAnswer), ""},
		{403, `{"allow":false,"reason":"You are banned.","for":60}`, "You are banned."},
	} {
		var log logbook
		a := newAsker(t, AskerOptions{Failures: 1, Logger: log.logger()}, func(*http.Request, []byte) (*http.Response, error) { return reply(test.status, test.body) })
		for range 3 {
			err := a.Allowed(t.Context(), *asks("alice", "a"))
			denied, ok := errors.AsType[*Denied](err)
			if !ok || denied.Reason != test.reason {
				t.Errorf("%d: got %v", test.status, err)
			}
		}
		if s := a.Stats(); s != (AskerStats{Denied: 3}) {
			t.Errorf("%d: got %+v", test.status, s)
		}
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, fmt.Sprint("status=", test.status)) {
			t.Errorf("%d: the log is\n%s", test.status, text)
		}
	}
}

// A status that is no answer is a failure, even with a valid body.
func TestStatusWithoutAnswer(t *testing.T) {
	for _, status := range []int{100, 204, 302, 304, 408, 429, 500, 503} {
		body := `{"allow":true}`
		if status == 204 {
			body = ""
		}
		a := newAsker(t, AskerOptions{}, func(*http.Request, []byte) (*http.Response, error) { return reply(status, body) })
		wantUnavailable(t, a.Allowed(t.Context(), *asks("alice", "a")))
	}
	a := newAsker(t, AskerOptions{}, func(*http.Request, []byte) (*http.Response, error) { return reply(201, `{"allow":true}`) })
	if err := a.Allowed(t.Context(), *asks("alice", "a")); err != nil {
		t.Errorf("201: %v", err)
	}
}

func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		a := newAsker(t, AskerOptions{Concurrency: 4}, func(r *http.Request, body []byte) (*http.Response, error) {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			select { // as an application takes time
			case <-time.After(300 * time.Millisecond):
				return reply(200, `{"allow":true}`)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		var all sync.WaitGroup
		var allowed atomic.Int64
		for i := range 40 {
			all.Go(func() {
				err := a.Allowed(t.Context(), *asks(fmt.Sprint(i), "a"))
				if err == nil {
					allowed.Add(1)
					return
				}
				wantUnavailable(t, err)
			})
		}
		all.Wait()
		if most.Load() != 4 || allowed.Load() != 12 {
			t.Errorf("%d at a time, %d allowed; want 4, and 12 in a second", most.Load(), allowed.Load())
		}
		// A crowd is no fault of the application's, so it is still asked.
		if s := a.Stats(); s != (AskerStats{Allowed: 12, Skipped: 28}) {
			t.Errorf("got %+v", s)
		}
	})
}

func TestAskerOptions(t *testing.T) {
	for _, c := range []struct {
		url, secret string
		wrong       int
	}{
		{"https://app.example/hook", secretText, 0},
		{"http://127.0.0.1:3000/hook", secretText, 0},
		{"http://[::1]:3000", secretText, 0},
		{"http://localhost/hook", secretText, 0},
		{"http://app.example/hook?" + passwordText, secretText, 1},
		{"https://", secretText, 1},
		{"", secretText, 1},
		{"ftp://localhost/", secretText, 1},
		{"https://hook:" + passwordText + "@%zz/", secretText, 1},
		{"https://app.example", secretText[:31], 1},
		{"nonsense " + passwordText, "", 2},
	} {
		e := Endpoint{c.url, []byte(c.secret)}
		_, err := NewAsker(AskerOptions{Endpoint: e})
		events, other := NewEvents(EventsOptions{Endpoint: e})
		if c.wrong == 0 {
			if err != nil {
				t.Errorf("%s: %v", c.url, err)
			}
			mustClose(t, events)
			continue
		}
		if err == nil || strings.Count(err.Error(), "\n") != c.wrong-1 || other == nil || other.Error() != err.Error() {
			t.Errorf("%s: got %v and %v", c.url, err, other)
			continue
		}
		wantSilent(t, err.Error())
		if strings.Contains(err.Error(), secretText[:31]) {
			t.Errorf("%v shows the secret", err)
		}
	}
}
