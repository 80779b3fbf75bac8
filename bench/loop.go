package bench

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"time"
)

// eventLoop serves a worker's share of the subscribers in one goroutine, that of run.
type eventLoop struct {
	// Fixed.
	share    *share
	dialect  dialect
	traits   traits
	clock    clock
	turns    turns
	names    []string // of the channels
	header   []byte   // lines of every request
	sequence uint32   // above every sequence number of the plan
	sockets  *sockets
	orders   chan received // from the coordinator; the sender wakes sockets
	replies  chan<- reply
	ended    <-chan struct{} // closed when nothing receives replies any more

	// Owned by run's goroutine.
	subscribers []subscriber
	timers      timers
	churn       churn
	sink        responseSink
	request     []byte

	opened      int     // subscribers that have begun to connect
	pending     int     // connecting
	arrived     int     // have been connected
	connected   int     // are connected
	gate        instant // when the arrival began; 0: not yet
	began       instant // when publishing did; 0: not yet
	finished    bool    // publishing is over, and outstanding is known
	outstanding int64   // missing deliveries
	totals      *totals
	exempt      map[exempt]bool
	gaps        int64
	reported    struct{ arrived, complete bool } // to the coordinator

	holes                     int64 // missing messages below newer ones
	lastArrival, lastDelivery instant
	counts                    report // since the last report
	latency, resume           histogram
	lag                       time.Duration
	stopped                   bool
}

// received is an order and the time at which it was received.
type received struct {
	order
	at instant
}

// newEventLoop returns an event loop for share. After a send to orders, the
// sender must call sockets.wake.
func newEventLoop(share *share, c clock, orders chan received, replies chan<- reply) (*eventLoop, error) {
	plan := &share.Plan
	s := &eventLoop{
		share: share, dialect: plan.dialect(), clock: c, turns: plan.turns(),
		orders: orders, replies: replies, sequence: 1<<32 - 1,
		subscribers: make([]subscriber, share.Count),
		latency:     newHistogram(), resume: newHistogram(),
	}
	s.sink.eventLoop = s
	s.traits = s.dialect.traits()
	if total, ok := plan.total(); ok {
		s.sequence = uint32(s.turns.sequence(total)) + 1
	}
	for c := range plan.Channels {
		s.names = append(s.names, channelName(plan.Channel, share.Run, c))
	}
	for _, line := range plan.Target.header() {
		s.header = append(append(s.header, line...), "\r\n"...)
	}
	next := make([]uint32, share.Count*plan.Publishers)
	for i := range s.subscribers {
		s.subscribers[i] = s.newSubscriber(i)
		s.subscribers[i].messages.next, next = next[:plan.Publishers:plan.Publishers], next[plan.Publishers:]
	}
	var source netip.Addr
	if share.Source != "" {
		var err error
		if source, err = netip.ParseAddr(share.Source); err != nil {
			return nil, err
		}
	}
	var err error
	s.sockets, err = openSockets(source)
	return s, err
}

func channelName(start string, run uint32, channel int) string {
	return fmt.Sprintf("%s-%08x-%d", start, run, channel)
}

// global returns the number of subscriber i among all of the run.
func (s *eventLoop) global(i int32) uint64 { return uint64(s.share.First) + uint64(i) }

func (s *eventLoop) newSubscriber(i int) subscriber {
	plan := &s.share.Plan
	global := s.global(int32(i))
	polls := plan.Transport.polls()
	if plan.Transport == Mixed {
		polls = choice(plan.Seed, aboutTransport, global)&1 == 1
	}
	return subscriber{
		fd: -1, polls: polls, channel: int32(s.turns.channel(int(global))),
		node: int32(choice(plan.Seed, aboutNode, global) % uint64(len(s.share.Nodes))),
	}
}

// appendRequest adds a subscriber's request.
func (s *eventLoop) appendRequest(b []byte, sub *subscriber, wait bool) []byte {
	seek := seek{
		channel: s.names[sub.channel], cursor: sub.cursor, earliest: s.began != 0,
		poll: sub.polls, wait: wait,
	}
	node := &s.share.Nodes[sub.node]
	poster, posts := s.dialect.(poster)
	method := "GET "
	if posts {
		method = "POST "
	}
	b = append(append(b, method...), node.Prefix...)
	b = s.dialect.appendPath(b, &seek)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), node.Host...)
	b = append(b, "\r\n"...)
	if !sub.polls {
		b = append(b, "Accept: text/event-stream\r\n"...)
	}
	b = s.dialect.appendHeader(b, &seek)
	b = append(b, s.header...)
	if posts {
		return appendPosted(b, poster.appendBody(nil, &seek))
	}
	return append(b, "\r\n"...)
}

// patrol is how often run checks its context while nothing happens.
const patrol = 100 * time.Millisecond

// run handles the coordinator's orders and the subscribers' connections until an
// order stops it or ctx ends. Then it closes every connection. It locks its
// thread, so that its CPU time can be measured.
func (s *eventLoop) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer s.close()
	s.ended = ctx.Done()
	for !s.stopped && ctx.Err() == nil {
		ready, err := s.sockets.wait(s.pause())
		if err != nil {
			return err
		}
		now := s.clock.now()
		for _, r := range ready {
			s.handleReady(r, now)
		}
		s.handleOrders()
		s.runDue(now)
	}
	return ctx.Err()
}

// runDue runs timers, arrivals and churn that are due. began is the start of this round of the loop.
func (s *eventLoop) runDue(began instant) {
	now := s.clock.now()
	s.fireTimers(now)
	s.startArrivals(now)
	s.runChurn(now)
	s.reportProgress()
	s.lag = max(s.lag, s.clock.now().since(began))
}

// pause returns how long run may wait for events.
func (s *eventLoop) pause() time.Duration {
	now := s.clock.now()
	next := now.after(patrol)
	if at, ok := s.timers.first(); ok {
		next = min(next, at)
	}
	if at, ok := s.churn.next(); ok {
		next = min(next, at)
	}
	if at, ok := s.nextArrival(); ok {
		next = min(next, at)
	}
	return max(0, next.since(now))
}

// nextArrival returns when the next subscriber may connect; ok is false if none may.
func (s *eventLoop) nextArrival() (at instant, ok bool) {
	if s.gate == 0 || s.opened == len(s.subscribers) || s.pending >= s.share.Arriving {
		return 0, false
	}
	part := float64(s.opened) / float64(len(s.subscribers))
	return s.gate.after(time.Duration(part * float64(s.share.Plan.Ramp))), true
}

// startArrivals connects the subscribers that are due.
func (s *eventLoop) startArrivals(now instant) {
	for {
		at, ok := s.nextArrival()
		if !ok || at > now {
			return
		}
		i := int32(s.opened)
		s.opened++
		s.connect(i, now)
	}
}

// handleReady handles an event of a connection.
func (s *eventLoop) handleReady(r readiness, now instant) {
	sub := &s.subscribers[r.index]
	if sub.generation != r.generation || sub.fd < 0 {
		return // it is of an earlier connection
	}
	if sub.state != stateConnecting {
		s.read(r.index)
		return
	}
	if err := s.sockets.connected(sub.fd, r); err != nil {
		s.failConnection(r.index, kindOf(err), now)
		return
	}
	s.sendRequest(r.index, now)
}

// recordDelivery records a delivery.
func (s *eventLoop) recordDelivery(sub *subscriber, m *payloadHeader, at instant) {
	if m.run != s.share.Run || m.channel != uint32(sub.channel) || m.publisher >= uint32(s.turns.publishers) || m.sequence >= s.sequence {
		sub.messages.unknown++
		return
	}
	first, missing := sub.messages.record(m.publisher, m.sequence)
	s.holes += missing
	if !first {
		return
	}
	s.counts.Deliveries++
	s.lastDelivery = at
	s.latency.record(at.since(m.due))
	if s.finished && sub.accounted() && !s.exempt[exempt{m.channel, m.publisher, m.sequence}] {
		s.outstanding--
	}
}

// close closes every connection.
func (s *eventLoop) close() {
	for i := range s.subscribers {
		if sub := &s.subscribers[i]; sub.fd >= 0 {
			s.sockets.hangUp(sub.fd)
			sub.fd = -1
		}
	}
	s.sockets.close()
}
