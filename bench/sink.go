package bench

import (
	"bytes"
	"errors"
	"strconv"
	"time"
)

// responseSink is a read from one subscriber's connection: the sink of its response.
// There is one for all, so that a read allocates nothing.
type responseSink struct {
	*eventLoop
	sub   *subscriber
	index int32
	at    instant // when the read had returned

	text   []byte // the body so far, of what is not complete; kept from read to read
	answer []byte // the head of a poll's answer
	close  bool   // the connection ends with this answer
}

// lostError ends the reading of a response; it is the kind of error to count.
type lostError string

func (e lostError) Error() string { return string(e) }

var (
	errBye    = errors.New("the server said goodbye")
	errHungUp = errors.New("the subscriber has hung up")
)

// read takes what has come for a subscriber.
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
	case sub.generation != generation: // it has hung up
	case err != nil:
		s.handleReadError(i, err, v.at)
	default:
		sub.text = kept(sub.text, v.text)
		sub.answer = kept(sub.answer, v.answer)
	}
}

// kept is a copy of b in old; nothing for nothing.
func kept(old, b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append(old[:0], b...)
}

// handleClose is called when the server has ended the connection. Between two short
// polls it may.
func (s *eventLoop) handleClose(i int32, kind string, now instant) {
	sub := &s.subscribers[i]
	if sub.state == statePaused {
		next := sub.timer
		s.hangUp(sub, now)
		sub.away = 0 // it had nothing to be away from
		s.setTimer(i, next)
		return
	}
	s.failConnection(i, kind, now)
}

// handleReadError is called when what came was no good.
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

// body implements sink: it takes the events that are complete.
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

// events takes the events of b and returns how many bytes they have. The
// cursor is that of the last one that is complete: what comes after it is sent
// again to who resumes.
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

// end implements sink: a poll polls again. A stream should have no end.
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

// pollAgain goes on after an answer.
func (v *responseSink) pollAgain() {
	sub, i := v.sub, v.index
	if v.traits.atOnce {
		v.markConnected(sub, v.at) // the answer said where it is: nothing can be missed
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

// nextPoll is when a subscriber polls next: an interval after it did, however
// long the answer took. The first pause is any part of one, so that those who
// arrived together do not stay together.
func (v *responseSink) nextPoll(sub *subscriber, i int32) instant {
	interval := v.share.Plan.Interval
	if sub.paced {
		return max(v.at, sub.asked.after(interval))
	}
	sub.paced = true
	chance := shareOf(choice(v.share.Plan.Seed, aboutPause, v.global(i)))
	return v.at.after(time.Duration(chance * float64(interval)))
}

// recordMessages enters the messages of text.
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
