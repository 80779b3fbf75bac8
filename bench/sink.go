package bench

import (
	"bytes"
	"errors"
	"strconv"
	"time"
)

// responseSink is the sink for a read of one subscriber's connection. All
// subscribers of a loop share one, so that a read allocates nothing.
type responseSink struct {
	*eventLoop
	sub   *subscriber
	index int32
	at    instant // when the read had returned

	text   []byte // the incomplete part of the body; reused from read to read
	answer []byte // the head of a poll's answer
	close  bool   // the connection closes after this answer
}

// lostError ends the reading of a response. Its text is the kind of error to count.
type lostError string

func (e lostError) Error() string { return string(e) }

var (
	errBye    = errors.New("the server sent comet.bye")
	errHungUp = errors.New("the subscriber closed the connection")
)

// read reads a subscriber's connection and handles the received bytes.
func (s *eventLoop) read(i int32) {
	sub := &s.subscribers[i]
	b, err := s.sockets.read(sub.fd)
	if errors.Is(err, errAgain) {
		return
	}
	v := &s.sink
	v.sub, v.index, v.at, v.close = sub, i, s.clock.now(), false
	if err != nil {
		s.handleClose(i, kindOf(err), v.at)
		return
	}
	s.counts.Bytes += int64(len(b))
	v.text = append(v.text[:0], sub.text...)
	v.answer = append(v.answer[:0], sub.answer...)
	generation := sub.generation
	err = sub.response.feed(b, v)
	switch {
	case sub.generation != generation: // the connection was closed
	case err != nil:
		s.handleReadError(i, err, v.at)
	default:
		sub.text = kept(sub.text, v.text)
		sub.answer = kept(sub.answer, v.answer)
	}
}

// kept copies b into old. It returns nil for an empty b.
func kept(old, b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append(old[:0], b...)
}

// handleClose handles a connection that the server closed. That is no failure
// between two short polls.
func (s *eventLoop) handleClose(i int32, kind string, now instant) {
	sub := &s.subscribers[i]
	if sub.state == statePaused {
		next := sub.timer
		s.hangUp(sub, now)
		sub.away = 0 // it missed nothing
		s.setTimer(i, next)
		return
	}
	s.failConnection(i, kind, now)
}

// handleReadError closes a connection with a faulty response.
func (s *eventLoop) handleReadError(i int32, err error, now instant) {
	var lost lostError
	switch {
	case errors.Is(err, errBye):
		s.failConnection(i, kindBye, now)
	case errors.As(err, &lost):
		s.failConnection(i, string(lost), now)
	default:
		s.failConnection(i, kindOf(err), now)
	}
}

// head implements sink.
func (v *responseSink) head(b []byte) error {
	status, err := statusOf(b)
	if err != nil {
		return err
	}
	v.close = bytes.EqualFold(headerValue(b, "Connection"), []byte("close"))
	if status != 200 {
		if seconds, err := strconv.ParseUint(string(headerValue(b, "Retry-After")), 10, 16); err == nil {
			v.sub.retry = time.Duration(seconds) * time.Second
		}
		return lostError(kindStatus(status))
	}
	if v.sub.polls {
		v.answer = append(v.answer[:0], b...)
		return nil
	}
	v.sub.state = stateOpen
	v.sub.timer = 0
	v.markConnected(v.sub, v.at)
	return nil
}

// body implements sink. It handles complete events.
func (v *responseSink) body(b []byte) error {
	if v.sub.polls {
		v.text = append(v.text, b...)
		return nil
	}
	if len(v.text) == 0 {
		n, err := v.events(b)
		v.text = append(v.text, b[n:]...)
		return err
	}
	v.text = append(v.text, b...)
	n, err := v.events(v.text)
	v.text = append(v.text[:0], v.text[n:]...)
	return err
}

// events handles the complete events of b and returns their length. The cursor
// becomes that of the last one: after a reconnect the server sends again what
// follows it.
func (v *responseSink) events(b []byte) (n int, err error) {
	var last event
	for err == nil {
		e, length := nextEvent(b[n:])
		if length == 0 {
			break
		}
		n += length
		if e.hasID {
			last = e
		}
		if e.retry > 0 {
			v.sub.retry = e.retry
		}
		switch string(e.name) {
		case "comet.bye":
			err = errBye
		case "comet.gap":
			v.gaps++
		default:
			v.recordMessages(e.text)
		}
	}
	if last.hasID {
		v.sub.cursor = append(v.sub.cursor[:0], last.id...)
	}
	return n, err
}

// end implements sink. A poll polls again. The end of a stream is a failure.
func (v *responseSink) end() error {
	if !v.sub.polls {
		return lostError(kindClosed)
	}
	cursor, gaps, err := v.dialect.next(v.sub.cursor[:0], v.answer, v.text)
	if err != nil {
		return lostError(kindNoCursor)
	}
	v.sub.cursor = cursor
	v.gaps += int64(gaps)
	v.recordMessages(v.text)
	v.text, v.answer = v.text[:0], v.answer[:0]
	generation := v.sub.generation
	if v.pollAgain(); v.sub.generation != generation {
		return errHungUp
	}
	return nil
}

// pollAgain sends or schedules the poll after an answer.
func (v *responseSink) pollAgain() {
	sub, i := v.sub, v.index
	if poster, posts := v.dialect.(poster); v.traits.atOnce && (!posts || poster.connected(sub.cursor)) {
		v.markConnected(sub, v.at) // with the answer's cursor it misses nothing
	}
	next := v.at
	if v.share.Plan.Transport == ShortPoll {
		next = v.nextPoll(sub, i)
	}
	if v.close {
		v.hangUp(sub, v.at)
		sub.away = 0
		v.setTimer(i, next)
		return
	}
	if v.share.Plan.Transport != ShortPoll {
		v.sendRequest(i, v.at)
		return
	}
	sub.state = statePaused
	v.setTimer(i, next)
}

// nextPoll returns when a subscriber polls next: an interval after its last poll,
// however long the answer took. The first pause is a random part of an interval,
// so that subscribers that connected together do not poll together.
func (v *responseSink) nextPoll(sub *subscriber, i int32) instant {
	interval := v.share.Plan.Interval
	if sub.paced {
		return max(v.at, sub.asked.after(interval))
	}
	sub.paced = true
	chance := shareOf(choice(v.share.Plan.Seed, aboutPause, v.global(i)))
	return v.at.after(time.Duration(chance * float64(interval)))
}

// recordMessages records the messages in text.
func (v *responseSink) recordMessages(text []byte) {
	for {
		s, rest, ok := nextPayloadHeader(text)
		if !ok {
			return
		}
		text = rest
		v.recordDelivery(v.sub, &s, v.at)
	}
}
