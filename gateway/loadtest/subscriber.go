package loadtest

import (
	"bytes"
	"fmt"
)

// subscriber is one connection and what came over it. It belongs to the
// goroutine of its swarm.
type subscriber struct {
	fd       int
	channel  string
	in       bool // it arrived: its stream began, or its second poll is sent
	closed   bool // stream or connection, by the server
	response responseReader
	text     []byte // of the body: a line that is not complete; of a poll's, all
	answer   []byte // the head of the answer to a poll
	ledger   ledger
}

// visit is a read from one subscriber's connection; it implements sink.
type visit struct {
	*swarm
	*subscriber
	at instant // when the read had returned
}

func (v visit) head(b []byte) error {
	if status, _ := statusOf(b); status != 200 {
		line, _, _ := bytes.Cut(b, []byte("\r\n"))
		return fmt.Errorf("subscribe to %q: %s", v.channel, line)
	}
	if v.options.Poll {
		v.answer = append(v.answer[:0], b...)
		return nil
	}
	v.arrive(v.subscriber)
	return nil
}

// body looks for messages in what is complete: the lines of a stream.
func (v visit) body(b []byte) error {
	v.text = append(v.text, b...)
	if v.options.Poll {
		return nil
	}
	complete := bytes.LastIndexByte(v.text, '\n') + 1
	v.take(v.text[:complete])
	v.text = append(v.text[:0], v.text[complete:]...)
	return nil
}

// end polls again. A stream should have none.
func (v visit) end() error {
	if !v.options.Poll {
		v.closed = true
		return nil
	}
	v.take(v.text)
	next, err := v.polls.NextPoll(v.channel, v.answer, v.text)
	v.text = v.text[:0]
	if err != nil {
		return err
	}
	if err := v.send(v.subscriber, next); err != nil {
		return err
	}
	v.arrive(v.subscriber)
	return nil
}

// take enters the messages of text.
func (v visit) take(text []byte) {
	for {
		s, rest, ok := nextStamp(text)
		if !ok {
			return
		}
		text = rest
		if v.ledger.enter(s.index, v.options.Messages) {
			v.delivered(s.sent, v.at)
		}
	}
}
