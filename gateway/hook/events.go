package hook

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// EventsOptions is whom to tell, and how. Zero values mean the default, but for
// the endpoint, which is needed.
type EventsOptions struct {
	Endpoint
	Node    string        // this node's name
	Timeout time.Duration // of one request; default 5s
	Queue   int           // events that wait at most, at least 100; about 20 MiB; default 65536
	Logger  *slog.Logger  // default: none
}

// Events tells the application who comes and goes, in batches and in order. An
// event is told again until the application has taken it, or until newer ones
// need its room. Its methods may be called concurrently; none but Close waits.
type Events struct {
	options EventsOptions
	caller  *caller
	queue   *queue

	closeOnce sync.Once
	closing   chan struct{}   // closed by Close
	end       context.Context // of the time for telling
	giveUp    context.CancelFunc
	done      chan struct{} // closed at the end of run
	abandoned int64         // by run; to be read after done

	failures atomic.Int64
}

// NewEvents makes an Events and begins to tell. Its error names everything that
// is wrong, but no secret. Close it in the end.
func NewEvents(o EventsOptions) (*Events, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	setDefault(&o.Timeout, 5*time.Second)
	setDefault(&o.Queue, 1<<16)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Events{
		options: o,
		caller:  newCaller(o.Endpoint, 1, o.Timeout),
		queue:   newQueue(o.Node, rand.Text(), o.Queue),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	e.end, e.giveUp = context.WithCancel(context.Background())
	go e.run()
	return e, nil
}

// FirstSubscriber tells that a channel that had no subscriber on this node has
// one.
func (e *Events) FirstSubscriber(channel string) {
	e.queue.put(Event{Kind: FirstSubscriber, Channel: channel})
}

// LastSubscriberLeft tells that a channel has no subscriber on this node any
// more.
func (e *Events) LastSubscriberLeft(channel string) {
	e.queue.put(Event{Kind: LastSubscriberLeft, Channel: channel})
}

// Connected tells that a user ("": nobody that is known) is there, by a
// transport in one word, such as sse.
func (e *Events) Connected(user, transport string) {
	e.queue.put(Event{Kind: Connected, User: user, Transport: transport})
}

// Disconnected tells the end of what Connected told; reason is one word, such
// as a conn.Bye.
func (e *Events) Disconnected(user, transport, reason string) {
	e.queue.put(Event{Kind: Disconnected, User: user, Transport: transport, Reason: reason})
}

// Close tells what is left, until ctx ends, and waits for the end of that. The
// error says how many events were lost by it. What is reported later is lost.
func (e *Events) Close(ctx context.Context) error {
	e.closeOnce.Do(func() {
		e.queue.close()
		close(e.closing)
	})
	stop := context.AfterFunc(ctx, e.giveUp)
	defer stop()
	<-e.done
	e.giveUp()
	e.caller.close()
	if e.abandoned > 0 {
		return fmt.Errorf("%d events were not told to events.url before the time was up", e.abandoned)
	}
	return nil
}

// EventsStats is what an Events counts, since the start. Each event that was
// reported is in one of the first three.
type EventsStats struct {
	Delivered int64 // taken by the application
	Dropped   int64 // lost: no room, refused, or too late
	Waiting   int64 // now
	Failures  int64 // requests, each of which may have been repeated
}

// Stats may be called at any time.
func (e *Events) Stats() EventsStats {
	s := EventsStats{Failures: e.failures.Load()}
	s.Delivered, s.Dropped, s.Waiting = e.queue.stats()
	return s
}
