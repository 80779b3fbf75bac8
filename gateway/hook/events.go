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

// EventsOptions are the options of Events. The endpoint is required. Other zero
// values mean the default.
type EventsOptions struct {
	Endpoint
	Node    string        // name of this node
	Timeout time.Duration // of one request; default 5s
	Queue   int           // maximum waiting events, about 20 MiB; at least 100; default 65536
	Logger  *slog.Logger  // default: no log
}

// Events posts events to the application, in batches and in order. It retries until
// the application accepts a batch, or until newer events need the place in the
// queue. Its methods may be called concurrently, and only Close blocks.
type Events struct {
	options EventsOptions
	caller  *caller
	queue   *queue

	closeOnce sync.Once
	closing   chan struct{}   // closed by Close
	end       context.Context // ends delivery
	giveUp    context.CancelFunc
	done      chan struct{} // closed at the end of run
	abandoned int64         // written by run; read after done

	failures atomic.Int64
}

// NewEvents makes an Events and starts delivery, which Close ends. Its error names
// every invalid option, but no secret.
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

// FirstSubscriber reports the first subscriber of a channel on this node.
func (e *Events) FirstSubscriber(channel string) {
	e.queue.put(Event{Kind: FirstSubscriber, Channel: channel})
}

// LastSubscriberLeft reports that a channel has no subscriber on this node any more.
func (e *Events) LastSubscriberLeft(channel string) {
	e.queue.put(Event{Kind: LastSubscriberLeft, Channel: channel})
}

// Connected reports a connection of a user, "" for an anonymous client. transport is
// one word, such as sse.
func (e *Events) Connected(user, transport string) {
	e.queue.put(Event{Kind: Connected, User: user, Transport: transport})
}

// Disconnected reports the end of a connection. reason is one word, such as a
// conn.CloseReason.
func (e *Events) Disconnected(user, transport, reason string) {
	e.queue.put(Event{Kind: Disconnected, User: user, Transport: transport, Reason: reason})
}

// Close delivers the remaining events until ctx ends. Its error says how many events
// were lost. Events that are reported later are lost.
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
		return fmt.Errorf("%d events were not delivered to events.url in time", e.abandoned)
	}
	return nil
}

// EventsStats are counters of Events since its start. Each reported event is in one
// of the first three.
type EventsStats struct {
	Delivered int64 // accepted by the application
	Dropped   int64 // lost: queue full, refused, or too late
	Waiting   int64 // now
	Failures  int64 // failed requests, including retries
}

// Stats may be called at any time.
func (e *Events) Stats() EventsStats {
	s := EventsStats{Failures: e.failures.Load()}
	s.Delivered, s.Dropped, s.Waiting = e.queue.stats()
	return s
}
