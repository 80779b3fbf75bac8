package bench

import "time"

// subscriber is one client: at most one connection, its cursor, and a record of
// the messages received. It belongs to the goroutine of its event loop. There are
// thousands of them: an idle one has no buffers.
type subscriber struct {
	fd         int32 // -1: not connected
	generation int32 // counts its connections
	node       int32
	channel    int32
	state      state
	polls      bool
	in         bool // connected: it receives new messages
	was        bool // it has been connected
	late       bool // it was not connected when publishing began: it is not accounted for
	pending    bool // connecting, or waiting for the answer
	paced      bool // its short polls have begun
	attempts   uint8

	retry time.Duration // before a reconnect, as the server asked; 0: not asked
	away  instant       // when it was disconnected; 0: not since it was connected
	asked instant       // when it sent its last request

	timer  instant // when it is due; 0: never
	queued instant // time of its alarm; 0: no alarm

	cursor   []byte
	text     []byte // the incomplete part of the body
	answer   []byte // the head of an incomplete answer to a poll
	response responseReader
	messages tracker
}

// state is what a subscriber waits for.
type state uint8

const (
	stateNew        state = iota // its turn to arrive
	stateAway                    // the time to connect again
	stateConnecting              // the connection
	stateAsked                   // the head of an answer: of a stream, or of a poll that is answered at once
	stateOpen                    // messages
	statePaused                  // the time of the next short poll
)

const (
	// answerTime is the limit for a connect, and for an answer that does not wait
	// for a message.
	answerTime = 10 * time.Second
	// The delay of a reconnect begins with backoffLeast and doubles with each failure.
	backoffLeast = 100 * time.Millisecond
	backoffMost  = 2 * time.Second
	retryMost    = 10 * time.Second // even if the server says more
	// crowded is how long a reconnect is postponed when too many are in progress.
	crowded = 10 * time.Millisecond
)

// setTimer makes the subscriber due at that time.
func (s *eventLoop) setTimer(i int32, at instant) {
	sub := &s.subscribers[i]
	sub.timer = at
	if sub.queued == 0 || at < sub.queued {
		sub.queued = at
		s.timers.push(alarm{at, i})
	}
}

// fireTimers handles the subscribers that are due.
func (s *eventLoop) fireTimers(now instant) {
	for {
		at, ok := s.timers.first()
		if !ok || at > now {
			return
		}
		i := s.timers.pop().index
		sub := &s.subscribers[i]
		if sub.queued != at {
			continue // an earlier alarm took its place
		}
		sub.queued = 0
		switch {
		case sub.timer == 0:
		case sub.timer > now:
			s.setTimer(i, sub.timer)
		default:
			sub.timer = 0
			s.due(i, now)
		}
	}
}

// due handles a subscriber whose timer has expired.
func (s *eventLoop) due(i int32, now instant) {
	switch s.subscribers[i].state {
	case stateAway:
		if s.pending >= 4*s.share.Arriving {
			s.setTimer(i, now.after(crowded))
			return
		}
		s.connect(i, now)
	case statePaused:
		s.sendRequest(i, now)
	default: // no answer
		s.failConnection(i, kindTimeout, now)
	}
}

// connect begins a connection.
func (s *eventLoop) connect(i int32, now instant) {
	sub := &s.subscribers[i]
	sub.state = stateConnecting
	sub.pending = true
	s.pending++
	fd, connected, err := s.sockets.dial(s.share.Nodes[sub.node].Address, readiness{i, sub.generation})
	if err != nil {
		s.failConnection(i, kindOf(err), now)
		return
	}
	sub.fd = fd
	s.setTimer(i, now.after(answerTime))
	if connected {
		s.sendRequest(i, now)
	}
}

// sendRequest sends the subscriber's next request.
func (s *eventLoop) sendRequest(i int32, now instant) {
	sub := &s.subscribers[i]
	wait := sub.polls && s.share.Plan.Transport != ShortPoll && s.waits(sub)
	s.request = s.appendRequest(s.request[:0], sub, wait)
	s.counts.Requests++
	sub.asked = now
	if err := s.sockets.write(sub.fd, s.request); err != nil {
		s.failConnection(i, kindOf(err), now)
		return
	}
	switch {
	case !wait:
		sub.state = stateAsked
		s.setTimer(i, now.after(answerTime))
	case s.traits.atOnce:
		sub.state = stateOpen
		s.setTimer(i, now.after(pollWait+answerTime))
	case len(sub.cursor) == 0: // there is a message, see traits.primed
		sub.state = stateOpen
		s.setTimer(i, now.after(answerTime))
	default: // nothing says how long the server lets it wait
		sub.state = stateOpen
		sub.timer = 0
	}
	if wait && len(sub.cursor) > 0 {
		s.markConnected(sub, now)
	}
}

// waits reports whether the next long-poll may wait for a message. It may not if
// its answer has to confirm first that the subscriber is connected.
func (s *eventLoop) waits(sub *subscriber) bool {
	return !s.traits.atOnce || sub.in && len(sub.cursor) > 0
}

// markConnected counts a subscriber as connected.
func (s *eventLoop) markConnected(sub *subscriber, now instant) {
	if sub.in {
		return
	}
	sub.in = true
	sub.attempts, sub.retry = 0, 0
	s.clearPending(sub)
	s.connected++
	s.counts.Connects++
	if sub.away != 0 {
		s.resume.record(now.since(sub.away))
		sub.away = 0
	}
	if sub.was {
		return
	}
	sub.was = true
	s.arrived++
	s.lastArrival = now
	if s.finished {
		sub.late = true // missing messages are counted already
	}
}

// clearPending removes a subscriber from those that are connecting.
func (s *eventLoop) clearPending(sub *subscriber) {
	if sub.pending {
		sub.pending = false
		s.pending--
	}
}

// hangUp closes the subscriber's connection, if it has one.
func (s *eventLoop) hangUp(sub *subscriber, now instant) {
	if sub.fd >= 0 {
		s.sockets.hangUp(sub.fd)
		sub.fd = -1
	}
	sub.generation++
	s.clearPending(sub)
	if sub.in {
		sub.in = false
		s.connected--
		sub.away = now
	}
	sub.response, sub.text, sub.answer = responseReader{}, nil, nil
	sub.state, sub.timer = stateAway, 0
}

// failConnection counts a failure, closes the connection, and schedules a
// reconnect to another node.
func (s *eventLoop) failConnection(i int32, kind string, now instant) {
	s.countError(kind)
	s.reconnect(i, s.backoff(i), now)
}

// reconnect closes the connection and schedules a reconnect to another node.
func (s *eventLoop) reconnect(i int32, in time.Duration, now instant) {
	sub := &s.subscribers[i]
	s.hangUp(sub, now)
	sub.attempts++
	sub.node = s.nextNode(i)
	s.setTimer(i, now.after(in))
}

// backoff returns the subscriber's delay after a failure.
func (s *eventLoop) backoff(i int32) time.Duration {
	sub := &s.subscribers[i]
	least := backoffLeast
	if sub.retry > 0 {
		least = min(sub.retry, retryMost)
	}
	wait := min(least<<min(sub.attempts, 8), max(backoffMost, least))
	chance := choice(s.share.Plan.Seed, aboutBackoff, s.global(i), uint64(sub.generation))
	return time.Duration((0.5 + shareOf(chance)) * float64(wait))
}

// nextNode returns another node than the subscriber's, if there is one.
func (s *eventLoop) nextNode(i int32) int32 {
	sub := &s.subscribers[i]
	n := uint64(len(s.share.Nodes))
	if n == 1 {
		return 0
	}
	step := 1 + choice(s.share.Plan.Seed, aboutNextNode, s.global(i), uint64(sub.generation))%(n-1)
	return int32((uint64(sub.node) + step) % n)
}
