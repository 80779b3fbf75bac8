package bayeux

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"comet/gateway/admit"
	"comet/gateway/conn"
	"comet/pubsub"
)

// Options of a Server. Fields without a default must be set.
type Options struct {
	Admission *admit.Controller
	Hub       *pubsub.Hub
	Records   pubsub.RecordStore // of sessions
	Holder    Holder

	Limits  func() Limits           // that apply to a request
	Explain func(error) Explanation // of an error of Admission or Hub

	Prefix      string        // of the channels that clients may use: /chat/1 is Prefix + chat/1
	Timeout     time.Duration // longest wait of a connect; default 30s
	Interval    time.Duration // between an answer and the next connect; default 0
	MaxInterval time.Duration // how long a session is kept without a connect; default 60s

	// Fast returns what a request is judged by that comes without net/http, and the header of
	// its answer; ok is false if it has to go through net/http.
	Fast func(r *http.Request) (rules *admit.Rules, header http.Header, ok bool)
	// Span begins the span of a publish; ctx is the request's. carry is the parent of the
	// messages' spans (pubsub.Draft.Trace), and end is called once. Default: none.
	Span func(ctx context.Context) (carry string, end func(drafts []pubsub.Draft, receipts []pubsub.Receipt))
	// Senders reports whether messages of a channel name their sender; default: all do.
	Senders func(channel string) bool
	// Refused is called with how many messages were refused before the hub saw them.
	// Default: nothing.
	Refused func(messages int)

	Logger *slog.Logger // default: none
}

// Holder holds connects until something comes for them.
type Holder interface {
	HoldPoll(w http.ResponseWriter, r *http.Request, q *conn.Poll) error
}

// Limits of a request.
type Limits struct {
	Body     int           // bytes of a request
	Batch    int           // messages of a request
	Message  int           // bytes of a message's data
	Channels int           // subscriptions of a session
	Wait     time.Duration // of a connect
}

// Explanation of an error for a client.
type Explanation struct {
	Status int           // as of HTTP
	Detail string        // a sentence that says what to do
	Retry  time.Duration // when to try again; 0: not known
}

// Server serves Bayeux clients on one node. Its methods may be called concurrently.
type Server struct {
	options Options
	node    string // the channel of its notices
	ctx     context.Context
	stop    context.CancelFunc
	work    sync.WaitGroup // goroutines that answer, and the one of notices
	counter atomic.Uint64  // of connects

	mu      sync.Mutex
	waiting map[string]*connect // the newest connect at this node, by client ID; it may have been answered a moment ago
	closed  bool
}

// New makes a server. Call Close to end it.
func New(o Options) *Server {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxInterval == 0 {
		o.MaxInterval = time.Minute
	}
	if o.Senders == nil {
		o.Senders = func(string) bool { return true }
	}
	if o.Refused == nil {
		o.Refused = func(int) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o, node: newNoticeChannel(), waiting: make(map[string]*connect)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.work.Go(s.followNotices)
	s.work.Go(s.forgetAnswered)
	return s
}

// Close ends the goroutines of the server. Close the Holder first, and the hub after it.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.work.Wait()
}

// start runs work in a goroutine that Close waits for. ctx ends after answerTimeout, or
// with Close. It returns false after Close.
func (s *Server) start(work func(ctx context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, answerTimeout)
		defer cancel()
		work(ctx)
	})
	return true
}

// Serve answers a request, whose caller is not authenticated yet. An error is about the
// request as a whole and is returned before anything was written.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, caller *admit.Caller) error {
	q, err := s.read(w, r)
	if err != nil {
		return err
	}
	if q.callback != "" { // browsers send cookies with scripts that pages of any site load
		r = withoutCookies(r)
	}
	e := &exchange{server: s, w: w, r: r, caller: caller, request: q}
	return e.serve()
}

// withoutCookies returns r without its cookies.
func withoutCookies(r *http.Request) *http.Request {
	if r.Header["Cookie"] == nil {
		return r
	}
	bare := *r
	bare.Header = r.Header.Clone()
	bare.Header.Del("Cookie")
	return &bare
}

// fault returns the fault of an error, about arguments, which may be empty.
func (s *Server) fault(err error, arguments string) *fault {
	if f, ok := err.(*fault); ok {
		return f
	}
	why := s.options.Explain(err)
	return &fault{code: why.Status, arguments: arguments, text: strings.TrimSuffix(why.Detail, "."), retry: why.Retry}
}
