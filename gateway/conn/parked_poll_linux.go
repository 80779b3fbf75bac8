package conn

import (
	"bufio"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"time"
	"unique"

	"golang.org/x/sys/unix"

	"comet/pubsub"
)

// HoldPoll implements the same as Portable's; it returns when the poll is
// answered or parked. A parked poll's connection stays parked for the polls
// after it: the writer reads them itself, as long as they are nothing but the
// next poll. Whatever else comes gives the connection back to the server.
func (p *Parker) HoldPoll(w http.ResponseWriter, r *http.Request, q *Poll) error {
	// A poll that does not wait, and one that has to read the log, is over soon.
	if !parkablePoll(r) || q.Wait == 0 || !allLive(q.Subscriber) {
		return p.Portable.HoldPoll(w, r, q)
	}
	if !p.parking.enter() { // before the server stops counting the connection
		return p.Portable.HoldPoll(w, r, q)
	}
	defer p.parking.leave()
	connection, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return p.Portable.HoldPoll(w, r, q)
	}
	p.parkPoll(connection, buffer.Reader, w.Header(), q)
	return nil
}

// parkablePoll reports whether the connection of a poll can be parked and then
// serve its next request. A body that nobody has read would be taken for that.
func parkablePoll(r *http.Request) bool { return parkable(r) && !r.Close && r.ContentLength == 0 }

// parkPoll takes over the hijacked connection of a poll. If it cannot, the
// poll is answered at once, with nothing.
func (p *Parker) parkPoll(connection net.Conn, buffer *bufio.Reader, header http.Header, q *Poll) {
	defer q.Subscriber.Close()
	defer connection.Close()
	fd, owner, err := takeOver(connection)
	if err == nil && owner == nil {
		_ = unix.Close(int(fd)) // nobody would take the connection back
	}
	if err != nil || owner == nil {
		b := appendAnswer(nil, pollHead(header)+lastAnswer, httpDate(time.Now()), answer(q.Cursors, nil))
		_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, _ = connection.Write(b) // one that has gone needs none
		q.Ended(Answered)
		return
	}
	k := &parked{
		writer: p.nextWriter(), fd: fd, counted: owner, ended: q.Ended,
		poll: &poll{header: unique.Make(pollHead(header)), next: q.NextPoll, wait: q.Wait, waiting: true},
	}
	k.setSession(&q.Session)
	if read, _ := buffer.Peek(buffer.Buffered()); len(read) > 0 {
		k.poll.read = append([]byte(nil), read...)
	}
	p.joinSubscriber(k, q.Subscriber, q.Cursors)
	k.writer.add(k)
}

// pollHead is the header of a poll's answer up to what each answer has of its
// own.
func pollHead(header http.Header) string {
	SetAnswerHeader(header, "application/json")
	return string(appendHeader([]byte("HTTP/1.1 200 OK\r\n"), header))
}

// lastAnswer goes behind the head of an answer that the connection ends with.
const lastAnswer = "Connection: close\r\n"

// appendAnswer adds the whole response; date is an httpDate.
func appendAnswer(b []byte, head, date string, body []byte) []byte {
	b = append(b, head...)
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = appendHead(append(b, "\r\n"...), "", date)
	return append(b, body...)
}

// tryAnswer answers a poll to which something has come.
func (w *writer) tryAnswer(k *parked) {
	first := &k.positions[0]
	from := first.next
	items, ok := k.takeItems(pollItems)
	switch {
	case !ok:
		w.answerNothing(k, Slow) // a place has left its tail: the next poll reads the log
	case len(items) == 0:
	case len(k.positions) > 1:
		w.answer(k, answer(k.unshared.cursors, items), items, Answered)
	default:
		body := first.shard.cachedAnswerFor(from, first.next, func() []byte { return answer(k.unshared.cursors, items) })
		w.answer(k, body, items, Answered)
	}
}

// answerNothing ends a poll to which nothing has come.
func (w *writer) answerNothing(k *parked, why CloseReason) {
	w.answer(k, answer(k.unshared.cursors, nil), nil, why)
}

// cachedAnswer is the body of an answer with the items of one channel between two
// places, the same for every poll that waits there.
type cachedAnswer struct {
	from, to uint64
	body     []byte
}

// cachedAnswerFor is the body for the places, made once.
func (s *shard) cachedAnswerFor(from, to uint64, encode func() []byte) []byte {
	if a := s.lastAnswer; a == nil || a.from != from || a.to != to {
		s.lastAnswer = &cachedAnswer{from, to, encode()}
	}
	return s.lastAnswer.body
}

// answer writes the answer, which brings items, and waits for the next request.
func (w *writer) answer(k *parked, body []byte, items []pubsub.Delivery, why CloseReason) {
	b := appendAnswer(w.scratch[:0], k.poll.header.Value(), w.date(), body)
	w.keepScratch(b)
	w.endPoll(k, why) // before the client can know that it may ask again
	n, err := k.write(b)
	if err != nil {
		w.close(k)
		return
	}
	w.counters.addMessages(OverPoll, messagesIn(items)) // the rest of it is on its way too
	w.parker.reportWritten(items)
	if n < len(b) {
		w.returnConn(k, append([]byte(nil), b[n:]...))
		return
	}
	if k.readable || len(k.poll.read) > 0 {
		w.readNextPoll(k)
	}
}

// date is now as in an HTTP header.
func (w *writer) date() string {
	if now := time.Now(); now.Unix() != w.dated.Unix() {
		w.dated, w.dateText = now, httpDate(now)
	}
	return w.dateText
}

// httpDate is t as in an HTTP header.
func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// endPoll ends a poll; its connection rests.
func (w *writer) endPoll(k *parked, why CloseReason) {
	w.unschedule(k)
	w.removeFromShards(k)
	k.positions, k.unshared = nil, nil
	w.gauges.add(k, -1)
	k.poll.waiting = false
	w.gauges.add(k, 1)
	k.poll.idleUntil = w.tickAfter(idlePollTimeout)
	w.idle.add(k)
	k.ended(why)
}

// readNextPoll reads what comes on a resting connection. If it is the next
// poll, whole and alone, it is parked right away; else the server gets it.
func (w *writer) readNextPoll(k *parked) {
	k.readable = false
	n, err := unix.Read(int(k.fd), w.input[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		n = 0
		if len(k.poll.read) == 0 {
			return
		}
	case err != nil || n == 0:
		w.close(k)
		return
	}
	input := w.input[:n]
	if len(k.poll.read) > 0 || n == len(w.input) {
		k.poll.read = append(k.poll.read, input...)
		w.returnConn(k, nil)
		return
	}
	next, ok := k.readPoll(input)
	if !ok {
		k.poll.read = append([]byte(nil), input...)
		w.returnConn(k, nil)
		return
	}
	w.idle.remove(k)
	w.parker.joinResult(k, &next)
	next.Release()
	next.begin()
	w.gauges.add(k, -1)
	k.poll.wait, k.poll.waiting = next.Wait, true
	w.gauges.add(k, 1)
	k.ended = next.Ended
	k.poll.setHeader(next.Header, w.parker.pollHead)
	k.setSession(&next.Session)
	shards := w.addToShards(k) // the poller has it already
	w.catchUp(k)
	allJoined(shards)
}

// readPoll reads a request that is all there is in input.
func (k *parked) readPoll(input []byte) (next FastResult, ok bool) {
	r, ok := parsePlain(input)
	if !ok || k.poll.next == nil {
		return next, false
	}
	r.RemoteAddr = k.remoteAddr()
	return k.poll.next(r)
}

// remoteAddr is the client's address, as in http.Request.RemoteAddr.
func (k *parked) remoteAddr() string {
	address, err := unix.Getpeername(int(k.fd))
	if err != nil {
		return ""
	}
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)).String()
	}
	return ""
}

// setHeader makes header the answer's; nil: the door's, or without one what the
// first answer had.
func (q *poll) setHeader(header http.Header, door unique.Handle[string]) {
	switch {
	case header != nil:
		q.header = unique.Make(pollHead(header))
	case door != unique.Handle[string]{}:
		q.header = door
	}
}

// returnConn hands the connection to the server, with rest still to be written.
func (w *writer) returnConn(k *parked, rest []byte) {
	w.unregister(k)
	w.parker.poller.remove(k)
	giving := &w.parker.returning
	giving.enter() // it is open while writers run
	go func() {
		defer giving.leave()
		returnConn(k, rest)
	}()
}

// closePoll answers with nothing and closes the connection: the server that
// leaves would wait for it.
func (w *writer) closePoll(k *parked, why CloseReason) {
	_, _ = k.write(appendAnswer(nil, k.poll.header.Value()+lastAnswer, w.date(), answer(k.unshared.cursors, nil)))
	k.discardInput()
	k.reason, k.reasonSent = codeOf(why), true
	w.close(k)
}

// returnConn writes what is left of the answer, and hands the connection to the
// server.
func returnConn(k *parked, rest []byte) {
	connection, err := netConn(k, rest)
	if err != nil {
		k.counted.release()
		return
	}
	k.counted.listener.serveReturned(connection, k.counted, k.poll.read)
}

// netConn makes a net.Conn of k's descriptor again and writes rest to it.
func netConn(k *parked, rest []byte) (net.Conn, error) {
	file := os.NewFile(uintptr(k.fd), "connection")
	connection, err := net.FileConn(file)
	file.Close()
	if err != nil || len(rest) == 0 {
		return connection, err
	}
	_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
	n, err := connection.Write(rest)
	k.writer.counters.addBytes(OverPoll, n)
	if err != nil {
		connection.Close()
		return nil, err
	}
	_ = connection.SetWriteDeadline(time.Time{})
	return connection, nil
}
