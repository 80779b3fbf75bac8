package cometjs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// front is a proxy before the nodes. With requests under /-/ the scripts cause
// faults and read what it has seen.
type front struct {
	cluster *cluster
	turn    atomic.Uint32
	streams atomic.Int64 // open now
	asked   atomic.Int64 // channels of the newest stream
	longest atomic.Int64 // bytes of a URL

	mu      sync.Mutex    // guards what a script changes, and starts and ends of nodes
	buffers bool          // answers are kept until they are whole
	cuts    int           // number of answers to a POST that are lost
	posts   int           // seen
	drop    chan struct{} // closed to break all streams
	takes   int           // bytes of a URL at most; 0: any
	refuses int           // the status of a longer one
}

func newFront(w *cluster) *front { return &front{cluster: w, drop: make(chan struct{})} }

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if door, ok := strings.CutPrefix(r.URL.Path, "/-/"); ok {
		f.door(w, r, door)
		return
	}
	if status := f.tooLong(r); status != 0 {
		w.WriteHeader(status)
		return
	}
	buffers, cut := f.modes(r)
	if r.URL.Path == "/v1/events" {
		f.streams.Add(1)
		f.asked.Store(int64(len(r.URL.Query()["channel"])))
		defer f.streams.Add(-1)
		ctx, cancel := f.untilDropped(r.Context())
		defer cancel()
		r = r.WithContext(ctx)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(f.node()) },
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		ModifyResponse: func(res *http.Response) error {
			if !buffers {
				return nil
			}
			body, err := io.ReadAll(res.Body)
			res.Body = io.NopCloser(bytes.NewReader(body))
			return err
		},
	}
	if cut {
		proxy.ServeHTTP(nowhere{}, r)
		panic(http.ErrAbortHandler)
	}
	proxy.ServeHTTP(w, r)
}

// nowhere discards lost answers.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}

func (f *front) modes(r *http.Request) (buffers, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method == http.MethodPost {
		f.posts++
		if cut = f.cuts > 0; cut {
			f.cuts--
		}
	}
	return f.buffers, cut
}

// untilDropped returns ctx with an end when the script breaks the streams.
func (f *front) untilDropped(ctx context.Context) (context.Context, context.CancelFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	drop := f.drop
	go func() {
		select {
		case <-drop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// tooLong returns the status for a URL that is too long, 0 for another one.
func (f *front) tooLong(r *http.Request) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.longest.Store(max(f.longest.Load(), int64(len(r.RequestURI))))
	if f.takes > 0 && len(r.RequestURI) > f.takes {
		return f.refuses
	}
	return 0
}

// node returns a running node, each in its turn.
func (f *front) node() *url.URL {
	f.mu.Lock()
	defer f.mu.Unlock()
	nodes := f.cluster.nodes
	for range nodes {
		if n := nodes[f.turn.Add(1)%uint32(len(nodes))]; n.command != nil {
			return &url.URL{Scheme: "http", Host: n.address}
		}
	}
	return &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
}

// door runs a command of a script.
func (f *front) door(w http.ResponseWriter, r *http.Request, what string) {
	number := func(name string) int { n, _ := strconv.Atoi(r.FormValue(name)); return n }
	switch what {
	case "page":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><title>comet.js</title>`)
	case "streams":
		fmt.Fprintf(w, `{"open": %d, "channels": %d}`, f.streams.Load(), f.asked.Load())
	case "longest":
		fmt.Fprint(w, f.longest.Swap(0))
	case "posts":
		f.mu.Lock()
		defer f.mu.Unlock()
		fmt.Fprint(w, f.posts)
	case "token":
		text, err := token(r.FormValue("user"), time.Duration(number("ahead"))*time.Second, time.Duration(number("seconds"))*time.Second)
		f.say(w, text, err)
	case "throwout":
		f.say(w, "", f.cluster.revokeUser(r.Context(), r.FormValue("user")))
	default:
		f.trouble(what, number)
	}
}

func (f *front) say(w http.ResponseWriter, text string, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, text)
}

func (f *front) trouble(what string, number func(string) int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch what {
	case "buffer":
		f.buffers = number("on") == 1
	case "drop":
		close(f.drop)
		f.drop = make(chan struct{})
	case "takes":
		f.takes, f.refuses = number("bytes"), number("or")
	case "cut":
		f.cuts = number("answers")
	case "kill":
		f.cluster.kill(f.cluster.nodes[number("node")])
	case "leave":
		f.cluster.leave(f.cluster.nodes[number("node")])
	case "start":
		f.cluster.start(f.cluster.nodes[number("node")])
	default:
		f.cluster.t.Errorf("a script wants %q", what)
	}
}
