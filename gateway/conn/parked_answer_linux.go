package conn

import "comet/pubsub"

// otherPoll is what a connection has in addition when its polls are those of another
// protocol.
type otherPoll struct {
	answerer  Answerer
	interrupt *Interrupt // of the poll that waits; may be nil
	answering bool       // the answerer makes the answer; the connection counts as idle
	closing   bool       // the connection is closed after the answer
}

// answering reports whether an Answerer makes the answer at the moment.
func (q *poll) answering() bool { return q.other != nil && q.other.answering }

// madeAnswer is an answer that an Answerer has made.
type madeAnswer struct {
	poll     *parked
	answerer Answerer
	body     []byte // nil: wait again or, without again, close the connection
	again    *Poll
	items    []pubsub.Delivery
}

// interrupted is a poll whose Interrupt was fired.
type interrupted struct {
	poll      *parked
	interrupt *Interrupt
}

// requestAnswer ends the wait of a poll and has its Answerer make the answer. Until it is
// there, the connection counts as idle, but nothing is read from it.
func (s *pollServer) requestAnswer(p *parked, items []pubsub.Delivery, reason CloseReason) {
	s.registry.setIdle(p)
	other, w := p.poll.other, p.writer
	other.answering = true
	other.interrupt.notify(nil)
	p.ended(reason)
	answerer := other.answerer
	answerer.Answer(items, reason, func(body []byte, again *Poll) {
		a := madeAnswer{p, answerer, body, again, items}
		if !w.hand(func(in *inbox) { in.answers = append(in.answers, a) }) {
			a.drop()
		}
	})
}

// finishAnswer writes an answer that was made, and reads the next request if that has
// come already.
func (s *pollServer) finishAnswer(a *madeAnswer) {
	p := a.poll
	if p.removed {
		a.drop()
		return
	}
	p.poll.other.answering = false
	switch {
	case a.again != nil:
		s.waitAgain(p, a.again)
	case a.body == nil:
		a.answerer.Written(false)
		s.registry.close(p)
	case p.poll.other.closing:
		_, err := p.write(appendAnswer(nil, p.poll.header.Value()+connectionClose, s.date(), a.body))
		a.answerer.Written(err == nil)
		p.discardInput()
		s.registry.close(p)
	default:
		b := appendAnswer(s.scratch[:0], p.poll.header.Value(), s.date(), a.body)
		s.scratch.keep(b)
		ok := s.writeAnswer(p, b, a.items)
		a.answerer.Written(ok)
		if ok && !p.removed {
			s.readWaiting(p)
		}
	}
}

// drop reports that the client did not get the answer.
func (a *madeAnswer) drop() {
	if a.again != nil {
		a.again.end(Gone)
		return
	}
	a.answerer.Written(false)
}

// waitAgain has a connection wait for what q says, which has all of the log.
func (s *pollServer) waitAgain(p *parked, q *Poll) {
	if !allLive(q.Subscriber) { // it is slow, and the client asks again
		q.end(Slow)
		s.registry.close(p)
		return
	}
	closing := p.poll.other.closing
	p.ended = q.Ended
	p.poll.other = &otherPoll{answerer: q.Answerer, interrupt: q.Interrupt}
	p.setSession(&q.Session)
	s.parker.feeds.joinSubscriber(p, q.Subscriber, q.Cursors, q.Skip)
	q.Subscriber.Close()
	s.registry.setWaiting(p, q.Wait)
	p.blocked = false
	s.answerIfAny(p)
	p.await(q.Interrupt)
	if closing && !p.removed && p.poll.waiting {
		s.close(p, Shutdown)
	}
}

// await has i, which may be nil, end the wait of p. The func keeps nothing else.
func (p *parked) await(i *Interrupt) {
	if i != nil {
		i.notify(func() { p.writer.interrupt(p, i) })
	}
}

// answerInterrupted answers a poll whose Interrupt was fired, unless it was answered
// meanwhile.
func (s *pollServer) answerInterrupted(i interrupted) {
	if p := i.poll; !p.removed && p.poll.waiting && p.poll.other.interrupt == i.interrupt {
		s.answerEmpty(p, Answered)
	}
}
