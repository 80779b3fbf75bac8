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

// descriptorsRefusal is the detail of the problem when the descriptors are used up.
const descriptorsRefusal = "This node has as many connections as its descriptor limit allows (ulimit -n). Try again later, or try another node."

// answerFull is the response at the limit of the listener.
func answerFull(detail string) []byte {
	return refusalAnswer("503 Service Unavailable", "too-many-connections", "Too many connections", detail)
}

// answerAddressFull is the response at the limit of an address.
var answerAddressFull = refusalAnswer("429 Too Many Requests", "too-many-requests", "Too many requests",
	"This address has as many connections as limits.address_connections allows. Close one, or try again later.")

func refusalAnswer(status, problem, title, detail string) []byte {
	code, _, _ := strings.Cut(status, " ")
	body := fmt.Sprintf(`{"type":"urn:comet:problem:%s","title":%q,"status":%s,"detail":%q}`+"\n", problem, title, code, detail)
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: application/problem+json\r\n"+
		"Content-Length: %d\r\nRetry-After: 5\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%s", status, len(body), body)
}

// A refusal that waits for the client takes a descriptor, so there are at most
// maxAnswering at a time, each for at most refuseTimeout. Others do not wait.
const (
	maxAnswering  = 16
	refuseTimeout = time.Second
)

// refuse answers and closes c. It does not block.
func (l *Listener) refuse(c net.Conn, with *refusal) {
	with.record()
	select {
	case l.answering <- struct{}{}:
		l.refusals.Go(func() {
			answerRefusal(c, with.answer)
			<-l.answering
		})
	default:
		_ = c.SetDeadline(time.Now().Add(refuseTimeout))
		_, _ = c.Write(with.answer) // a new connection's buffer takes it at once
		c.Close()
	}
}

// answerRefusal waits for the request, because many clients ignore an answer that comes
// before it. Then it waits until the client closes, because more input on a closed
// connection would cause a reset that destroys the answer.
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

// refusalLogInterval is the least time between two log lines about refusals.
const refusalLogInterval = time.Minute

// refusal is a reason to refuse connections, and the answer. It counts refusals and logs
// them: the first at once, because an operator may act, and then once per minute their
// number, if any, because clients that retry every few seconds would fill the log.
type refusal struct {
	logger  *slog.Logger
	message string // of the log
	answer  []byte

	mu     sync.Mutex
	total  int64
	logged int64       // of total, in the lines so far
	timer  *time.Timer // runs until the next line may be logged; nil: it may
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

// log logs the refusals since the last line. The caller holds mu.
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

// stop ends the log lines.
func (r *refusal) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logged = r.total // for a timeOver that waits for mu
	if r.timer != nil {
		r.timer.Stop()
	}
}
