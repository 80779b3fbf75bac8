package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

// Redis refuses one of the commands that a publish needs, as ACLs may change and are not
// replicated. The error shows whether the message was published.
func TestPublishRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	log := new(syncBuffer)
	options := withKept(at(server.Addr()))
	options.Logger = slog.New(slog.NewTextHandler(log, nil))
	b := newBroker(t, options)
	t.Cleanup(func() { _ = b.Close() })
	publish := func(channel, key string) pubsub.Receipt {
		return b.Publish(t.Context(), []pubsub.Draft{{Channel: channel, Type: pubsub.DefaultType, Data: []byte("1"), Key: key}})[0]
	}
	inLog := func(channel string) int64 { return server.Do("XLEN", "comet:{"+channel+"}:log").(int64) }
	const nothing, unknown, published = "nothing", "unknown", "published"
	for _, c := range []struct{ rule, plain, keyed string }{
		{"-get", published, nothing}, // without a key, only the hint needs it
		{"-set", published, nothing},
		{"-xadd", nothing, nothing},
		{"-time", nothing, nothing},
		{"-info", nothing, nothing},
		{"-pexpire", published, published},
		{"-publish", unknown, unknown},
		{"resetchannels", unknown, unknown},
		{"-evalsha", nothing, nothing},
		{"resetkeys", nothing, nothing},
	} {
		channel := strings.Trim(c.rule, "-")
		for _, key := range []string{"", "k"} {
			want := c.plain
			if key != "" {
				want, channel = c.keyed, channel+"-keyed"
			}
			server.Do("ACL", "SETUSER", "default", c.rule)
			r := publish(channel, key)
			server.Do("ACL", "SETUSER", "default", "+@all", "allchannels", "allkeys")
			n := inLog(channel)
			got := published
			switch {
			case errors.Is(r.Err, pubsub.ErrUnavailable) && n == 0:
				got = nothing
			case errors.Is(r.Err, pubsub.ErrOutcomeUnknown):
				got = unknown
			case r.Err != nil || n != 1:
				got = fmt.Sprint(r.Err, n)
			}
			if got != want {
				t.Errorf("%s, key %q: %s, want %s; %v, %d in the log", c.rule, key, got, want, r.Err, n)
			}
			if r.Err != nil && !strings.Contains(r.Err.Error(), "permission") && !strings.Contains(r.Err.Error(), "can't") {
				t.Errorf("%s: %v does not say what Redis said", c.rule, r.Err)
			}
			if again := publish(channel, key); key != "" && (again.Err != nil || again.Duplicate != (n > 0) || inLog(channel) != 1) {
				t.Errorf("%s: the repeat is %+v, and the log has %d", c.rule, again, inLog(channel))
			}
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 { // for -pexpire, which no error reports
		t.Errorf("%d warnings:\n%s", n, log)
	}
	if n := b.Stats().Errors[redisbroker.ToPublish][redisbroker.RefusedIt]; n < 15 {
		t.Errorf("%d refusals counted", n)
	}
}

// A draft that Redis refuses does not affect the others of its chunk.
func TestChunkPartlyRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := newBroker(t, withKept(at(server.Addr())))
	t.Cleanup(func() { _ = b.Close() })
	drafts := make([]pubsub.Draft, 4)
	for i := range drafts {
		drafts[i] = pubsub.Draft{Channel: "c", Type: pubsub.DefaultType, Data: fmt.Append(nil, i)}
	}
	drafts[1].Key, drafts[2].Ephemeral = "k", true
	server.Do("ACL", "SETUSER", "default", "-set")
	receipts := b.Publish(t.Context(), drafts)
	server.Do("ACL", "SETUSER", "default", "+@all")
	for i, r := range receipts {
		if refused := errors.Is(r.Err, pubsub.ErrUnavailable); refused != (i == 1) || r.ID.IsZero() != (i == 1 || i == 2) {
			t.Errorf("draft %d: %+v", i, r)
		}
	}
	page := b.Read(t.Context(), []pubsub.Query{{Channel: "c", Limit: 10}})[0]
	if len(page.Messages) != 2 || page.Messages[1].Prev != page.Messages[0].ID {
		t.Errorf("the log has %+v", page)
	}
}

// Redis hangs. The outcome of drafts that were sent is unknown. Drafts that waited for
// their answer have not left, and never do.
func TestPublishNeverLeft(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options := withKept(at(server.Addr()))
	options.Timeout = 10 * time.Second
	b := newBroker(t, options)
	t.Cleanup(func() { _ = b.Close() })
	publish := func(ctx context.Context, channel string) error {
		return b.Publish(ctx, []pubsub.Draft{{Channel: channel, Type: pubsub.DefaultType, Data: []byte("1")}})[0].Err
	}
	if err := publish(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	server.Freeze()
	const waiting = 500 // more than one pipeline takes
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	errs := make([]error, waiting)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = publish(ctx, "frozen") })
	}
	all.Wait()
	server.Thaw()
	var unknown int64
	for _, err := range errs {
		switch {
		case errors.Is(err, pubsub.ErrOutcomeUnknown):
			unknown++
		case !errors.Is(err, pubsub.ErrUnavailable):
			t.Errorf("publish: %v", err)
		}
	}
	if unknown == 0 || unknown == waiting {
		t.Errorf("%d of %d are unknown", unknown, waiting)
	}
	if err := publish(t.Context(), "last"); err != nil { // sent after everything that could still be sent
		t.Error(err)
	}
	if n := server.Do("XLEN", "comet:{frozen}:log").(int64); n > unknown {
		t.Errorf("the log has %d, only %d can be there", n, unknown)
	}
}

// No server answers at the address: nothing was sent, for one draft or several.
func TestPublishNoRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	proxy.Cut() // it accepts connections and never answers
	options := withKept(at(proxy.Addr()))
	options.Timeout = 300 * time.Millisecond
	b := newBroker(t, options)
	t.Cleanup(func() { _ = b.Close() })
	for _, drafts := range [][]pubsub.Draft{numbered("a", 1), numbered("a", 3)} {
		for i, r := range b.Publish(t.Context(), drafts) {
			if !errors.Is(r.Err, pubsub.ErrUnavailable) {
				t.Errorf("draft %d of %d: %v", i, len(drafts), r.Err)
			}
		}
	}
}

// After a chunk with an unknown outcome no other chunk of its channel is sent.
func TestBatchStopsAtFailure(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options := withKept(at(server.Addr()))
	options.Timeout = time.Second
	b := newBroker(t, options)
	t.Cleanup(func() { _ = b.Close() })
	for _, r := range b.Publish(t.Context(), numbered("first", 2)) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	server.Freeze()
	receipts := b.Publish(t.Context(), numbered("c", 200))
	server.Thaw()
	unknown := 0
	for i, r := range receipts {
		switch {
		case errors.Is(r.Err, pubsub.ErrOutcomeUnknown) && i == unknown:
			unknown++
		case !errors.Is(r.Err, pubsub.ErrUnavailable):
			t.Errorf("draft %d: %v", i, r.Err)
		}
	}
	if unknown == 0 || unknown > 64 {
		t.Errorf("%d are unknown", unknown)
	}
	if n := server.Do("XLEN", "comet:{c}:log").(int64); n != 0 && n != int64(unknown) {
		t.Errorf("the log has %d", n)
	}
}

// Presence works while the relay is refused; only its events are missing.
func TestHoldNotRelayed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := newBroker(t, withKept(at(server.Addr())))
	t.Cleanup(func() { _ = b.Close() })
	server.Do("ACL", "SETUSER", "default", "-publish")
	held := b.UpdateLeases(t.Context(), []pubsub.Lease{hold("c", "alice")})[0]
	server.Do("ACL", "SETUSER", "default", "+@all")
	page, err := b.Members(t.Context(), "c", "", 10)
	if held.Err != nil || err != nil || page.Count != 1 {
		t.Errorf("held %+v; members %+v, %v", held, page, err)
	}
	if n := b.Stats().Errors[redisbroker.ToPresent][redisbroker.RefusedIt]; n != 1 {
		t.Errorf("%d refusals counted", n)
	}
}
