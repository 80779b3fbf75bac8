package clienttest

import (
	"fmt"
	"slices"
	"strings"
)

// run is one client in front of the nodes.
type run struct {
	balancer *balancer
	nodes    *nodes
	channel  string
	refuses  bool // at the first cut the client is answered 503
	html     bool // messages are paragraphs

	got []string // what the client was handed, each cut to its first word; guarded by balancer.mu
}

// total is how many messages there are; large is the number of one that is
// larger than what Go's bufio.Scanner reads by itself.
const (
	total = 15
	large = 8
)

// target is the path and query of most clients' requests.
func target(channel string) string { return "/v1/events?channel=" + channel + "&format=raw" }

// take records a message that the client received.
func (r *run) take(text string) {
	first, _, _ := strings.Cut(text, " ")
	r.balancer.update(func() { r.got = append(r.got, first) })
}

// show replaces the received messages by a longer list, as a page sends it.
func (r *run) show(texts []string) {
	r.balancer.update(func() {
		if len(texts) > len(r.got) {
			r.got = texts
		}
	})
}

// drive publishes messages, cuts the client's connection twice and keeps it out
// for a while, and returns an error unless the client was handed each message
// once, in order, and nothing else: heartbeats are no messages.
func (r *run) drive() error {
	steps := []struct {
		what string
		do   func() error
	}{
		{"being refused at first", r.reopen},
		{"the first connection", func() error { return r.awaitStreams(1) }},
		{"messages 1 to 5", func() error { return r.publish(1, 5) }},
		{"being kept out", r.keepOut},
		{"messages 6 to 10", func() error { return r.awaitMessages(10) }},
		{"a cut", r.cut},
		{"messages 11 to 15", func() error { return r.publish(11, total) }},
		{"heartbeats", r.awaitHeartbeats},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w; it has %q", step.what, err, r.list())
		}
	}
	var want []string
	for n := range total {
		want = append(want, fmt.Sprint(n+1))
	}
	if got := r.list(); !slices.Equal(got, want) {
		return fmt.Errorf("it was handed %q", got)
	}
	return nil
}

func (r *run) list() []string {
	r.balancer.mu.Lock()
	defer r.balancer.mu.Unlock()
	return slices.Clone(r.got)
}

// reopen opens the balancer for a client that could not connect since the beginning.
func (r *run) reopen() error {
	d := r.balancer
	if err := d.await("an attempt", func() bool { return d.mode == passes || d.refused > 0 }); err != nil {
		return err
	}
	d.update(func() { d.mode, d.refused = passes, 0 })
	return nil
}

// publish publishes by the nodes in turn, and waits until the client has all.
func (r *run) publish(first, last int) error {
	if err := r.send(first, last); err != nil {
		return err
	}
	return r.awaitMessages(last)
}

func (r *run) send(first, last int) error {
	for n := first; n <= last; n++ {
		text := fmt.Sprint(n)
		if n == large {
			text += " " + strings.Repeat("x", 100<<10)
		}
		if r.html {
			text = "<p>" + text + "</p>"
		}
		if err := r.nodes.publish(n%len(r.nodes.addresses), r.channel, text); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) awaitMessages(n int) error {
	return r.balancer.await(fmt.Sprint("message ", n), func() bool { return len(r.got) >= n })
}

func (r *run) awaitStreams(n int) error {
	return r.balancer.await("a stream", func() bool { return r.balancer.ready >= n })
}

// keepOut publishes messages 6 to 10 while the client cannot connect.
func (r *run) keepOut() error {
	m := closes
	if r.refuses {
		m = refuses
	}
	r.balancer.shut(m)
	if err := r.balancer.await("an attempt", func() bool { return r.balancer.refused > 0 }); err != nil {
		return err
	}
	if err := r.send(6, 10); err != nil {
		return err
	}
	r.balancer.update(func() { r.balancer.mode = passes })
	return nil
}

// cut breaks the connection and waits for the next.
func (r *run) cut() error {
	var before int
	r.balancer.update(func() { before = r.balancer.ready })
	r.balancer.shut(passes)
	return r.awaitStreams(before + 1)
}

// awaitHeartbeats waits for two, and for what the client makes of them: what it
// was handed before they came is there by then.
func (r *run) awaitHeartbeats() error {
	var before int
	r.balancer.update(func() { before = r.balancer.beats })
	return r.balancer.await("heartbeats", func() bool { return r.balancer.beats >= before+2 })
}
