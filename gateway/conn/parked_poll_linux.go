package conn

import (
	"bufio"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"
	"unique"

	"golang.org/x/sys/unix"

	"comet/pubsub"
)

// HoldPoll is Portable.HoldPoll, but returns when the poll is answered or parked. The
// connection of a parked poll stays parked: the writer reads the next poll itself. On
// any other request the connection returns to the server.
func (p *Parker) HoldPoll(w http.ResponseWriter, r *http.Request, q *Poll) error {
	// A poll that does not wait, or has to read the log, ends soon.
	if !parkablePoll(r) || q.Wait == 0 || !allLive(q.Subscriber) {
		return p.Portable.HoldPoll(w, r, q)
	}
	if !p.parking.enter() { // before the server stops tracking the connection
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

// parkablePoll reports whether the connection of a poll can be parked and then serve
// the next request. An unread body would look like that request.
func parkablePoll(r *http.Request) bool { return parkable(r) && !r.Close && r.ContentLength == 0 }

// parkPoll takes over the hijacked connection of a poll. If it cannot, it answers the
// poll at once with no items.
func (p *Parker) parkPoll(connection net.Conn, buffer *bufio.Reader, header http.Header, q *Poll) {
	defer q.Subscriber.Close()
	defer connection.Close()
	fd, owner, err := takeOver(connection)
	if err == nil && owner == nil {
		_ = unix.Close(int(fd)) // the connection could not return to a server
	}
	if err != nil || owner == nil {
		b := appendAnswer(nil, pollHead(header)+connectionClose, httpDate(time.Now()), answer(q.Cursors, nil))
		_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, _ = connection.Write(b) // without it the client polls again
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
	p.feeds.joinSubscriber(k, q.Subscriber, q.Cursors)
	k.writer.add(k)
}

// pollServer answers a writer's parked polls and reads the next poll on their
// connections.
type pollServer struct {
	parker   *Parker
	registry *registry
	schedule *schedule
	counters *writeCounters

	dated    time.Time // when dateText was right
	dateText string
	scratch  scratch
	input    [8 << 10]byte // of one read
}

// answerIfAny answers a poll with what has come, if anything has.
func (s *pollServer) answerIfAny(k *parked) {
	first := &k.positions[0]
	from := first.next
	items, ok := k.takeItems(pollItems)
	switch {
	case !ok:
		s.answerEmpty(k, Slow) // a position has left its tail: the next poll reads the log
	case len(items) == 0:
	case len(k.positions) > 1:
		s.answer(k, answer(k.unshared.cursors, items), items, Answered)
	default:
		body := first.shard.cachedAnswerFor(from, first.next, func() []byte { return answer(k.unshared.cursors, items) })
		s.answer(k, body, items, Answered)
	}
}

// answerEmpty answers a poll with no items.
func (s *pollServer) answerEmpty(k *parked, reason CloseReason) {
	s.answer(k, answer(k.unshared.cursors, nil), nil, reason)
}

// cachedAnswer is the body of an answer with the items of one channel between two
// positions. Nearly all polls of a channel wait at the same one.
type cachedAnswer struct {
	from, to uint64
	body     []byte
}

// cachedAnswerFor returns the body for two positions. It encodes it only once.
func (s *shard) cachedAnswerFor(from, to uint64, encode func() []byte) []byte {
	if a := s.lastAnswer; a == nil || a.from != from || a.to != to {
		s.lastAnswer = &cachedAnswer{from, to, encode()}
	}
	return s.lastAnswer.body
}

// answer ends a poll with body, which has items, and reads the next request if
// that has come already.
func (s *pollServer) answer(k *parked, body []byte, items []pubsub.Delivery, reason CloseReason) {
	b := appendAnswer(s.scratch[:0], k.poll.header.Value(), s.date(), body)
	s.scratch.keep(b)
	s.registry.setIdle(k)
	k.ended(reason) // before the write, after which the client may poll again
	n, err := k.write(b)
	if err != nil {
		s.registry.close(k)
		return
	}
	s.counters.addMessages(OverPoll, messagesIn(items)) // what is left will be written too
	s.parker.reportWritten(items)
	if n < len(b) {
		s.returnToServer(k, append([]byte(nil), b[n:]...))
		return
	}
	if k.readable || len(k.poll.read) > 0 {
		s.readNext(k)
	}
}

// close answers a poll with no items and closes its connection, so that a node that
// drains need not wait for it.
func (s *pollServer) close(k *parked, reason CloseReason) {
	_, _ = k.write(appendAnswer(nil, k.poll.header.Value()+connectionClose, s.date(), answer(k.unshared.cursors, nil)))
	k.discardInput()
	k.reason, k.reasonSent = codeOf(reason), true
	s.registry.close(k)
}

// date is the current value of the Date header.
func (s *pollServer) date() string {
	if now := time.Now(); now.Unix() != s.dated.Unix() {
		s.dated, s.dateText = now, httpDate(now)
	}
	return s.dateText
}

// readNext reads what has come on an idle connection. The next poll, whole and
// alone, waits right away or is answered. With anything else the connection returns
// to the server.
func (s *pollServer) readNext(k *parked) {
	k.readable = false
	n, err := unix.Read(int(k.fd), s.input[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		n = 0
		if len(k.poll.read) == 0 {
			return
		}
	case err != nil || n == 0:
		s.registry.close(k)
		return
	}
	input := s.input[:n]
	if len(k.poll.read) > 0 || n == len(s.input) {
		k.poll.read = append(k.poll.read, input...)
		s.returnToServer(k, nil)
		return
	}
	next, ok := k.parsePoll(input)
	if !ok {
		k.poll.read = append([]byte(nil), input...)
		s.returnToServer(k, nil)
		return
	}
	s.parker.feeds.joinResult(k, &next)
	next.Release()
	next.begin()
	k.ended = next.Ended
	k.poll.setHeader(next.Header, s.parker.pollHead)
	k.setSession(&next.Session)
	shards := s.registry.setWaiting(k, next.Wait) // the poller has it already
	k.blocked = false
	s.answerIfAny(k)
	allJoined(shards)
}

// parsePoll admits the poll that input is, if it is one whole request and nothing
// else.
func (k *parked) parsePoll(input []byte) (next FastResult, ok bool) {
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

// setHeader makes header the answer's. Without one it is that of the fast path,
// and without that the header of the connection's first answer stays.
func (q *poll) setHeader(header http.Header, fastPath unique.Handle[string]) {
	switch {
	case header != nil:
		q.header = unique.Make(pollHead(header))
	case fastPath != unique.Handle[string]{}:
		q.header = fastPath
	}
}

// returnToServer hands the connection to the server, after the rest of an answer
// has been written.
func (s *pollServer) returnToServer(k *parked, rest []byte) {
	s.registry.remove(k)
	s.parker.poller.remove(k)
	returning := &s.parker.returning
	returning.enter() // it is open while writers run
	go func() {
		defer returning.leave()
		connection, err := netConn(k, rest)
		if err != nil {
			k.counted.release()
			return
		}
		k.counted.listener.serveReturned(connection, k.counted, k.poll.read)
	}()
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
