package conn

import (
	"bufio"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"time"
	"unique"

	"golang.org/x/sys/unix"

	"comet/gateway/wire"
	"comet/pubsub"
)

// HoldPoll is Portable.HoldPoll, but returns when the poll is answered or parked. The
// connection of a parked poll stays parked: the writer reads the next poll itself. On
// any other request the connection returns to the server.
func (p *Parker) HoldPoll(w http.ResponseWriter, r *http.Request, q *Poll) error {
	// A poll that does not wait, or has to read the log, ends soon.
	if !parkablePoll(r, q.BodyRead) || q.Wait == 0 || !allLive(q.Subscriber) {
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
func parkablePoll(r *http.Request, bodyRead bool) bool {
	return parkable(r) && !r.Close && (r.ContentLength == 0 || bodyRead)
}

// parkPoll takes over the hijacked connection of a poll. If it cannot, it answers the
// poll at once with no items.
func (p *Parker) parkPoll(connection net.Conn, buffer *bufio.Reader, header http.Header, held *Poll) {
	defer held.Subscriber.Close()
	defer connection.Close()
	fd, owner, err := takeOver(connection)
	if err == nil && owner == nil {
		_ = unix.Close(int(fd)) // the connection could not return to a server
	}
	if err != nil || owner == nil {
		p.answerUnparked(connection, header, held)
		return
	}
	q := &parked{
		writer: p.nextWriter(), fd: fd, owner: owner, ended: held.Ended,
		poll: &poll{
			header: unique.Make(pollHead(header, held.contentType())), next: held.NextPoll, wait: held.Wait, waiting: true,
		},
	}
	if held.Answerer != nil {
		q.poll.other = &otherPoll{answerer: held.Answerer, interrupt: held.Interrupt}
	}
	q.setSession(&held.Session)
	if read, _ := buffer.Peek(buffer.Buffered()); len(read) > 0 {
		q.poll.read = string(read)
	}
	p.feeds.joinSubscriber(q, held.Subscriber, held.Cursors, held.Skip)
	q.writer.add(q)
	q.await(held.Interrupt)
}

// answerUnparked answers a poll that cannot be parked, with no items, on its hijacked
// connection.
func (p *Parker) answerUnparked(connection net.Conn, header http.Header, held *Poll) {
	body, again := held.body(wire.Poll{}, nil, Answered)
	if again != nil { // which the next request does
		again.end(Gone)
	}
	err := errGone
	if body != nil {
		_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err = connection.Write(appendAnswer(nil, pollHead(header, held.contentType())+connectionClose, httpDate(time.Now()), body))
	}
	if held.Answerer != nil {
		held.Answerer.Written(err == nil)
	}
	held.Ended(Answered) // without an answer the client polls again
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
	items    []pubsub.Delivery // taken last; a buffer that is used again
	next     FastResult        // of the last poll that was repeated; its slices are used again
	input    [8 << 10]byte     // of one read
}

// answerIfAny answers a poll with what has come, if anything has.
func (s *pollServer) answerIfAny(p *parked) {
	if len(p.positions) == 0 {
		return
	}
	first := &p.positions[0]
	from := first.next
	items, ok := p.takeItems(s.items[:0], pollItems)
	s.items = items
	switch {
	case !ok:
		s.answerEmpty(p, Slow) // a position has left its tail: the next poll reads the log
	case isEmpty(items):
		moveCursors(p.unshared.cursors, items)
	case p.poll.other != nil:
		s.requestAnswer(p, slices.Clone(items), Answered)
	case len(p.positions) > 1 || p.unshared.skips() || p.unshared.filters != nil:
		s.answer(p, answer(p.unshared.cursors, items), items, Answered)
	default:
		body := first.shard.cachedAnswerFor(from, first.next, func() []byte { return answer(p.unshared.cursors, items) })
		s.answer(p, body, items, Answered)
	}
}

// answerEmpty answers a poll with no items.
func (s *pollServer) answerEmpty(p *parked, reason CloseReason) {
	if p.poll.other != nil {
		s.requestAnswer(p, nil, reason)
		return
	}
	s.answer(p, answer(p.unshared.cursors, nil), nil, reason)
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
func (s *pollServer) answer(p *parked, body []byte, items []pubsub.Delivery, reason CloseReason) {
	b := appendAnswer(s.scratch[:0], p.poll.header.Value(), s.date(), body)
	s.scratch.keep(b)
	s.registry.setIdle(p)
	p.ended(reason) // before the write, after which the client may poll again
	if s.writeAnswer(p, b, items) && !p.removed {
		s.readWaiting(p)
	}
}

// writeAnswer writes the answer b, which has items, to an idle connection. It returns
// false if the client has gone. If the socket takes only a part, the connection returns
// to the server with the rest.
func (s *pollServer) writeAnswer(p *parked, b []byte, items []pubsub.Delivery) bool {
	n, err := p.write(b)
	if err != nil {
		s.registry.close(p)
		return false
	}
	s.counters.addMessages(p.transport(), messagesIn(items)) // what is left will be written too
	s.parker.reportWritten(items)
	if n < len(b) {
		s.returnToServer(p, append([]byte(nil), b[n:]...))
	}
	return true
}

// readWaiting reads the next request of an idle connection, if it has come already.
func (s *pollServer) readWaiting(p *parked) {
	if p.readable || len(p.poll.read) > 0 {
		s.readNext(p)
	}
}

// close answers a poll with no items and closes its connection, so that a node that
// drains need not wait for it.
func (s *pollServer) close(p *parked, reason CloseReason) {
	if p.poll.other != nil {
		p.poll.other.closing = true
		s.requestAnswer(p, nil, reason)
		return
	}
	_, _ = p.write(appendAnswer(nil, p.poll.header.Value()+connectionClose, s.date(), answer(p.unshared.cursors, nil)))
	p.discardInput()
	p.reason, p.reasonSent = codeOf(reason), true
	s.registry.close(p)
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
func (s *pollServer) readNext(p *parked) {
	p.readable = false
	n, err := readNow(int(p.fd), s.input[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		n = 0
		if p.poll.read == "" {
			return
		}
	case err != nil || n == 0:
		s.registry.close(p)
		return
	}
	input := s.input[:n]
	if p.poll.read != "" || n == len(s.input) || !s.repeat(p, input) && !s.parse(p, input) {
		p.poll.read += string(input)
		s.returnToServer(p, nil)
		return
	}
	p.blocked = false
	s.answerIfAny(p)
}

// parse makes p wait for the next poll, if input is one whole request for one and
// nothing else, and that is admitted.
func (s *pollServer) parse(p *parked, input []byte) bool {
	next, ok := p.parsePoll(input)
	if !ok {
		return false
	}
	s.parker.feeds.joinResult(p, &next)
	next.begin()
	p.ended = next.Ended
	if next.Answerer != nil {
		p.poll.other = &otherPoll{answerer: next.Answerer, interrupt: next.Interrupt}
		p.poll.next = next.NextPoll
	}
	p.poll.setHeader(next.Header, s.parker.pollHead)
	p.setSession(&next.Session)
	p.poll.repeated = newRepeated(&next, input, &s.scratch)
	s.registry.setWaiting(p, next.Wait) // the poller has it already
	p.await(next.Interrupt)
	return true
}

// repeat is parse for a request with the bytes of the one before, except for the cursor.
func (s *pollServer) repeat(p *parked, input []byte) bool {
	cursor, ok := p.poll.repeated.match(input, &s.scratch)
	if !ok {
		return false
	}
	next := &s.next
	*next = FastResult{Channels: next.Channels[:0], Positions: next.Positions[:0], Cursors: p.unshared.cursors}
	if !p.poll.repeated.repeater.Repeat(cursor, next) {
		return false
	}
	s.parker.feeds.rejoin(p, next)
	p.ended = next.Ended
	p.setSession(&next.Session)
	s.registry.setWaiting(p, p.poll.wait)
	return true
}

// parsePoll admits the poll that input is, if it is one whole request and nothing
// else.
func (p *parked) parsePoll(input []byte) (next FastResult, ok bool) {
	if p.poll.next == nil {
		return next, false
	}
	parse := parsePlain
	if p.poll.other != nil {
		parse = parsePlainPost
	}
	r, ok := parse(input)
	if !ok {
		return next, false
	}
	r.RemoteAddr = p.remoteAddr()
	return p.poll.next(r)
}

// remoteAddr is the client's address, as in http.Request.RemoteAddr.
func (p *parked) remoteAddr() string {
	address, err := unix.Getpeername(int(p.fd))
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
		q.header = unique.Make(pollHead(header, "application/json"))
	case fastPath != unique.Handle[string]{}:
		q.header = fastPath
	}
}

// returnToServer hands the connection to the server, after the rest of an answer
// has been written.
func (s *pollServer) returnToServer(p *parked, rest []byte) {
	s.registry.remove(p)
	s.parker.poller.remove(p)
	returning := &s.parker.returning
	returning.enter() // it is open while writers run
	go func() {
		defer returning.leave()
		connection, err := netConn(p, rest)
		if err != nil {
			p.owner.release()
			return
		}
		p.owner.listener.serveReturned(connection, p.owner, []byte(p.poll.read))
	}()
}

// netConn makes a net.Conn of k's descriptor again and writes rest to it.
func netConn(p *parked, rest []byte) (net.Conn, error) {
	file := os.NewFile(uintptr(p.fd), "connection")
	connection, err := net.FileConn(file)
	file.Close()
	if err != nil || len(rest) == 0 {
		return connection, err
	}
	_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
	n, err := connection.Write(rest)
	p.writer.counters.addBytes(p.transport(), n)
	if err != nil {
		connection.Close()
		return nil, err
	}
	_ = connection.SetWriteDeadline(time.Time{})
	return connection, nil
}
