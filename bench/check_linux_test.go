package bench

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// answering returns the URL of a server that answers every connection with text and
// closes it.
func answering(t *testing.T, text string) string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var request [4096]byte
			_, _ = c.Read(request[:])
			fmt.Fprint(c, text)
			c.Close()
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return "http://" + l.Addr().String()
}

func status(code int, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, text, code) })
}

// readOnly has streams, but accepts no messages.
var readOnly = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.(http.Flusher).Flush()
	<-r.Context().Done()
})

func TestRunRefuses(t *testing.T) {
	good := Plan{Target: Target{Preset: "nchan", Nodes: []string{startFake(t, nil)}}, Subscribers: 1}
	for _, test := range []struct {
		why  string
		with func(*Plan)
	}{
		{"connection refused: is the server running", func(p *Plan) { p.Target.Nodes = []string{"http://127.0.0.1:1"} }},
		{"401 Unauthorized to subscribe: the token is missing or wrong", func(p *Plan) { p.Target.Nodes = []string{serve(t, status(401, ""))} }},
		{"lacks the permission for these channels. It says: not yours", func(p *Plan) { p.Target.Nodes = []string{serve(t, status(403, "not yours"))} }},
		{"403 Forbidden to publish", func(p *Plan) { p.Target.Nodes, p.Messages = []string{serve(t, readOnly)}, 1 }},
		{"is the preset", func(p *Plan) { p.Target.Preset = "comet" }},
		{"closes the stream at once", func(p *Plan) {
			p.Target.Nodes = []string{serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))}
		}},
		{"does not speak HTTP", func(p *Plan) { p.Target.Nodes = []string{answering(t, "-ERR unknown command\r\n")} }},
		{"closes the connection without an answer", func(p *Plan) { p.Target.Nodes = []string{answering(t, "")} }},
		{"the name cannot be resolved", func(p *Plan) { p.Target.Nodes = []string{"http://nowhere.invalid"} }},
		{"process 1073741824 cannot be measured", func(p *Plan) { p.ServerPIDs = []int{1 << 30} }},
		{"metrics: ", func(p *Plan) { p.MetricsURL = "http://127.0.0.1:1/metrics" }},
		{"descriptors that a process may have", func(p *Plan) { p.Subscribers = 10_000_000 }},
		{"subscribers: 0", func(p *Plan) { p.Subscribers = 0 }},
	} {
		p := good
		test.with(&p)
		_, err := Run(t.Context(), p, inTest())
		if !contains(err, test.why) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want a line with %q", err, test.why)
		}
	}
}

// Each faulty node has a line.
func TestRunRefusesEveryNode(t *testing.T) {
	plan := Plan{Target: Target{Nodes: []string{"http://127.0.0.1:1", serve(t, status(401, "")), "http://127.0.0.1:2"}}, Subscribers: 1}
	_, err := Run(t.Context(), plan, inTest())
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("error %v, want three lines", err)
	}
}

// No subscriber connects: the checks pass, and then the server is full.
func TestRunWithoutSubscribers(t *testing.T) {
	var asked atomic.Int64
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	plan := Plan{Target: Target{Nodes: []string{url}}, Subscribers: 1, Patience: 300 * time.Millisecond}
	_, err := Run(t.Context(), plan, inTest())
	if !contains(err, "no subscriber connected") || !contains(err, "status 503") {
		t.Errorf("error %v", err)
	}
}
