package hook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"comet/gateway/hook"
)

// secret is the content of auth.hook.secret_file and of events.secret_file.
var secret = []byte("an-example-secret-of-32-bytes-or-more")

// A webhook reads the body, checks its signature and only then parses it.
func ExampleVerify() {
	webhook := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<20))
		if err == nil {
			err = hook.Verify(secret, r.Header.Get(hook.SignatureHeader), body, time.Now())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}

	forged := httptest.NewRequest(http.MethodPost, "/events", strings.NewReader(`[]`))
	forged.Header.Set(hook.SignatureHeader, fmt.Sprintf("t=%d,v1=%064d", time.Now().Unix(), 0))
	answer := httptest.NewRecorder()
	webhook(answer, forged)
	fmt.Print(answer.Code, " ", answer.Body)
	// Output: 401 not signed by comet: the signature is for another body or by another secret
}

// The application answers questions: here each user may subscribe to one channel.
func ExampleAsker_Allowed() {
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Action, User, Channel string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil { // after Verify
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if q.Channel == "users/"+q.User {
			fmt.Fprint(w, `{"allow": true, "for": 60}`) // the node remembers it for 60 s
			return
		}
		fmt.Fprint(w, `{"allow": false, "reason": "This channel is not yours."}`)
	}))
	defer application.Close()

	asker, err := hook.NewAsker(hook.AskerOptions{
		Endpoint: hook.Endpoint{URL: application.URL, Secret: secret},
		Timeout:  10 * time.Second,
	})
	if err != nil {
		panic(err)
	}
	defer asker.Close()
	for _, channel := range []string{"users/alice", "users/bob"} {
		err := asker.Allowed(context.Background(), hook.Question{Action: hook.Subscribe, User: "alice", Channels: []string{channel}})
		_, denied := errors.AsType[*hook.Denied](err)
		fmt.Println(channel, denied, err)
	}
	// Output:
	// users/alice false <nil>
	// users/bob true You may not subscribe to channel "users/bob": This channel is not yours.
}

// Events are posted in batches, in order. An application must ignore an event whose
// ID it has already seen, as a batch without an answer is posted again.
func ExampleEvents() {
	application := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var batch []hook.Event
		if err := json.NewDecoder(r.Body).Decode(&batch); err != nil { // after Verify
			panic(err)
		}
		for _, e := range batch {
			fmt.Println(e.Kind, e.User+e.Channel)
		}
	}))
	defer application.Close()

	events, err := hook.NewEvents(hook.EventsOptions{Endpoint: hook.Endpoint{URL: application.URL, Secret: secret}})
	if err != nil {
		panic(err)
	}
	events.Connected("alice", "sse")
	events.FirstSubscriber("users/alice")
	if err := events.Close(context.Background()); err != nil { // delivers them at once
		panic(err)
	}
	// Output:
	// connected alice
	// first-subscriber users/alice
}
