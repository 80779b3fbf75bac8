package conn

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
	"unique"

	"golang.org/x/sys/unix"

	"comet/pubsub"
)

// parkAfter is how long a poll waits with its goroutine before it is parked.
// To park a poll and give its connection back costs more CPU than it to wait a
// moment (measured: docs/benchmarks.md), and the next message is often near.
const parkAfter = time.Second

// HoldPoll implements the same as Portable's; it returns when the answer is
// written, or the poll parked.
func (p *Parker) HoldPoll(w http.ResponseWriter, r *http.Request, q *Poll) error {
	if !parkable(r) || q.Wait <= p.parkAfter {
		return p.Portable.HoldPoll(w, r, q)
	}
	items, answered, err := q.next(r.Context(), p.parkAfter)
	if err != nil {
		q.end()
		return err
	}
	if answered {
		q.write(w, items)
		q.end()
		return nil
	}
	q.Wait -= p.parkAfter
	if !allLive(q.Subscriber) {
		return p.Portable.HoldPoll(w, r, q) // it waits for the log
	}
	p.holding.Add(1) // before the server stops counting the connection
	defer p.holding.Done()
	connection, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return p.Portable.HoldPoll(w, r, q)
	}
	p.parkPoll(connection, buffer.Reader, w.Header(), q)
	return nil
}

// parkable reports whether the connection of a poll can be parked and then
// serve its next request. A body that nobody has read would be taken for that.
func parkable(r *http.Request) bool {
	return r.TLS == nil && r.ProtoMajor == 1 && r.ProtoAtLeast(1, 1) && !r.Close && r.ContentLength == 0
}

func allLive(s *pubsub.Subscriber) bool {
	for i := range s.Channels() {
		if _, _, ok := s.Place(i); !ok {
			return false
		}
	}
	return true
}

// parkPoll takes over the hijacked connection of a poll. If it cannot, the
// poll is answered at once, with nothing.
func (p *Parker) parkPoll(connection net.Conn, buffer *bufio.Reader, header http.Header, q *Poll) {
	defer q.Subscriber.Close()
	defer connection.Close()
	fd, listener, err := takeOver(connection)
	if err == nil && listener == nil {
		_ = unix.Close(int(fd)) // nobody would take the connection back
	}
	if err != nil || listener == nil {
		b := appendAnswer(nil, pollHead(header)+lastAnswer, answer(q.Cursors, nil))
		_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, _ = connection.Write(b) // one that has gone needs none
		q.Ended()
		return
	}
	k := &parked{
		writer: p.nextWriter(), fd: fd, listener: listener, ended: q.Ended,
		poll: &poll{head: unique.Make(pollHead(header)), wait: q.Wait},
	}
	if read, _ := buffer.Peek(buffer.Buffered()); len(read) > 0 {
		k.poll.read = append([]byte(nil), read...)
	}
	p.joinOwn(k, q.Subscriber, q.Cursors)
	k.writer.add(k)
}

// pollHead is the header of a poll's answer up to what each answer has of its
// own.
func pollHead(header http.Header) string {
	setAnswerHeader(header)
	return string(appendHeader([]byte("HTTP/1.1 200 OK\r\n"), header))
}

// lastAnswer goes behind the head of an answer that the connection ends with.
const lastAnswer = "Connection: close\r\n"

// appendAnswer adds the whole response.
func appendAnswer(b []byte, head string, body []byte) []byte {
	b = append(b, head...)
	b = append(b, "Date: "...)
	b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, body...)
}

// tryAnswer answers a poll to which something has come.
func (w *writer) tryAnswer(k *parked) {
	items, ok := k.take(pollItems)
	if !ok || len(items) > 0 {
		w.answer(k, items) // a place that has left its tail: the next poll reads the log
	}
}

// answer writes the answer and gives the connection back to the server.
func (w *writer) answer(k *parked, items []pubsub.Delivery) {
	b := appendAnswer(w.scratch[:0], k.poll.head.Value(), answer(k.own.cursors, items))
	w.keepScratch(b)
	n, err := k.write(b)
	if err != nil {
		w.remove(k)
		return
	}
	var rest []byte
	if n < len(b) {
		rest = append(rest, b[n:]...)
	}
	w.forget(k)
	w.parker.poller.release(k)
	w.parker.giving.Go(func() { giveBack(k, rest) })
}

// dismiss answers with nothing and closes the connection: the server that
// leaves would wait for it.
func (w *writer) dismiss(k *parked) {
	_, _ = k.write(appendAnswer(nil, k.poll.head.Value()+lastAnswer, answer(k.own.cursors, nil)))
	k.discard()
	w.remove(k)
}

// giveBack writes what is left of the answer, and hands the connection to the
// server.
func giveBack(k *parked, rest []byte) {
	connection, err := reconnect(k, rest)
	k.ended() // before the next request counts
	if err != nil {
		k.listener.open.Add(-1)
		return
	}
	k.listener.giveBack(connection, k.poll.read)
}

// reconnect makes a net.Conn of k's descriptor again and writes rest to it.
func reconnect(k *parked, rest []byte) (net.Conn, error) {
	file := os.NewFile(uintptr(k.fd), "connection")
	connection, err := net.FileConn(file)
	file.Close()
	if err != nil || len(rest) == 0 {
		return connection, err
	}
	_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := connection.Write(rest); err != nil {
		connection.Close()
		return nil, err
	}
	_ = connection.SetWriteDeadline(time.Time{})
	return connection, nil
}
