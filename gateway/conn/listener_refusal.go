package conn

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"
)

// descriptorsRefusal is what a client hears when the descriptors are used up.
const descriptorsRefusal = "This node has as many connections as its descriptor limit allows (ulimit -n): come back later, or to another node."

// answerFull is the whole response to a client over the limit of all.
func answerFull(detail string) []byte {
	return refusalAnswer("503 Service Unavailable", "too-many-connections", "Too many connections", detail)
}

// answerAddressFull is that to one over the limit of its address.
var answerAddressFull = refusalAnswer("429 Too Many Requests", "too-many-requests", "Too many requests",
	"There are as many connections from this address as limits.address_connections allows: close one, or try again later.")

func refusalAnswer(status, problem, title, detail string) []byte {
	code, _, _ := strings.Cut(status, " ")
	body := fmt.Sprintf(`{"type":"urn:comet:problem:%s","title":%q,"status":%s,"detail":%q}`+"\n", problem, title, code, detail)
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: application/problem+json\r\n"+
		"Content-Length: %d\r\nRetry-After: 5\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%s", status, len(body), body)
}

// A refusal takes a descriptor, so there are at most maxPolite at a time, each
// for at most refuseTime. Beyond that none is waited for.
const (
	maxAnswering  = 16
	refuseTimeout = time.Second
)

// refuse answers. It does not block.
func (l *Listener) refuse(c net.Conn, why *refusal) {
	why.record()
	select {
	case l.answering <- struct{}{}:
		l.refusals.Go(func() {
			answerRefusal(c, why.answer)
			<-l.answering
		})
	default:
		_ = c.SetDeadline(time.Now().Add(refuseTimeout))
		_, _ = c.Write(why.answer) // a new connection's buffer takes it at once
		c.Close()
	}
}

// answerRefusal waits for the request, because many clients take an answer
// that comes before it for none, and then for the client to go, because what it
// still sends to a closed connection would reset the answer away.
func answerRefusal(c net.Conn, answer []byte) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(refuseTimeout))
	var request [4 << 10]byte
	if _, err := c.Read(request[:]); err != nil {
		return
	}
	if _, err := c.Write(answer); err != nil {
		return
	}
	if t, ok := c.(interface{ CloseWrite() error }); ok {
		_ = t.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, c)
}

// refusalLogInterval is the time between two log lines about refusals.
const refusalLogInterval = time.Minute

// refusal is a reason to refuse a connection, and its answer. It counts refusals
// and logs them: the first one at once, because an operator may act, and then
// once a minute how many there were meanwhile, if any, because a crowd that
// comes back every few seconds would fill the log.
type refusal struct {
	logger  *slog.Logger
	message string // of the log
	answer  []byte

	mu     sync.Mutex
	total  int64
	logged int64       // of total, in the lines so far
	timer  *time.Timer // runs after a line for as long as there must be no other; else nil
}

func (r *refusal) count() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

func (r *refusal) record() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if r.timer == nil {
		r.log()
	}
}

// log is called with mu held.
func (r *refusal) log() {
	r.logger.Warn(r.message, "refused", r.total-r.logged)
	r.logged = r.total
	r.timer = time.AfterFunc(refusalLogInterval, r.intervalOver)
}

func (r *refusal) intervalOver() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = nil
	if r.total > r.logged {
		r.log()
	}
}

// stop drops the line that is due, if one is.
func (r *refusal) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logged = r.total // for a timeOver that waits for mu
	if r.timer != nil {
		r.timer.Stop()
	}
}
