package bench

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// startAgent serves workers of this process until t ends.
func startAgent(t *testing.T, token string) (address string) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() {
		logger := slog.New(slog.NewTextHandler(t.Output(), nil))
		if err := ServeAgent(ctx, l, token, LocalProcesses().Start, logger); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		serving.Wait()
	})
	return l.Addr().String()
}

// Workers of this machine and of two agents share a run.
func TestRunWithProcesses(t *testing.T) {
	for _, test := range []struct {
		name    string
		hosts   []WorkerHost
		workers int
	}{
		{"processes", []WorkerHost{LocalProcesses()}, 1},
		{"agents", DialAgents([]string{startAgent(t, "secret"), startAgent(t, "secret")}, "secret"), 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			plan := Plan{
				Target:      Target{Nodes: startCluster(t, 2).urls, Token: "unused", Headers: []string{"X-A: b"}},
				Subscribers: 50, Channels: 3, Publishers: 2, Rate: 100, Duration: 1500 * time.Millisecond, Churn: 0.1,
			}
			r := mustRun(t, plan, Options{Hosts: test.hosts})
			if !r.Trouble.None() || r.Delivery.Received != r.Delivery.Expected || r.Workers != test.workers || r.Arrival.Subscribers != 50 {
				t.Errorf("%d workers, %+v, %d deliveries of %d, %+v", r.Workers, r.Arrival, r.Delivery.Received, r.Delivery.Expected, r.Trouble)
			}
			if l := r.Delivery.Latency; l.P50 <= 0 || l.Max > 10_000 {
				t.Errorf("latency %+v", l)
			}
			checkTimeline(t, r)
		})
	}
}

func TestAgentRefuses(t *testing.T) {
	address := startAgent(t, "secret")
	plan := Plan{Target: Target{Preset: "nchan", Nodes: []string{startFake(t, nil)}}, Subscribers: 1}
	for _, test := range []struct{ address, token, want string }{
		{address, "wrong", "agent " + address + ": the token is wrong"},
		{address, "", "the token is wrong"},
		{"127.0.0.1:1", "secret", "agent 127.0.0.1:1: dial tcp"},
		{strings.TrimPrefix(plan.Target.Nodes[0], "http://"), "secret", "does not answer as an agent does"},
	} {
		_, err := Run(t.Context(), plan, Options{Hosts: DialAgents([]string{test.address}, test.token)})
		if !contains(err, test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s, %q: error %v, want %q", test.address, test.token, err, test.want)
		}
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
	if answer, err := io.ReadAll(c); err != nil || !strings.Contains(string(answer), "the first line is not a coordinator") {
		t.Errorf("a browser gets %q, %v", answer, err)
	}
}

func TestAgentStaysOnLoopback(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ServeAgent(t.Context(), l, "", InProcess().Start, nil); !contains(err, "set a token") {
		t.Errorf("error %v", err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("it still listens")
	}
}

// brokenHost returns a host with a worker that runs speak.
func brokenHost(speak func(rw io.ReadWriter)) WorkerHost {
	return WorkerHost{Name: "there", Start: func(context.Context) (io.ReadWriteCloser, error) {
		ours, theirs := net.Pipe()
		w := &inProcess{Conn: ours}
		w.running.Go(func() {
			defer theirs.Close()
			speak(theirs)
		})
		return w, nil
	}}
}

// greeted sends a hello, reads the share, and then runs speak.
func greeted(speak func(rw io.ReadWriter, orders *json.Decoder)) func(io.ReadWriter) {
	return func(rw io.ReadWriter) {
		h := greeting()
		_ = json.NewEncoder(rw).Encode(reply{Hello: h})
		orders := json.NewDecoder(rw)
		var o order
		_ = orders.Decode(&o)
		speak(rw, orders)
	}
}

func TestBrokenWorkers(t *testing.T) {
	t.Parallel()
	plan := Plan{Target: Target{Preset: "nchan", Nodes: []string{startFake(t, nil)}}, Subscribers: 1}
	for _, test := range []struct {
		name string
		host WorkerHost
		want string
	}{
		{"it goes at once", brokenHost(func(io.ReadWriter) {}), "there: the worker ended before its hello"},
		{"it speaks something else", brokenHost(func(rw io.ReadWriter) { io.WriteString(rw, "hello\n") }), "there: read a line of JSON"},
		{"it is of another version", brokenHost(func(rw io.ReadWriter) { io.WriteString(rw, `{"hello":{"protocol":99}}`) }), "there: the worker has version 99"},
		{"it fails", brokenHost(func(rw io.ReadWriter) { io.WriteString(rw, `{"failed":"no epoll"}`) }), "there: no epoll"},
		{"it goes in the middle", brokenHost(greeted(func(_ io.ReadWriter, orders *json.Decoder) {
			var o order
			_ = orders.Decode(&o)
		})), "there: a worker ended in the middle of the run"},
		{"it fails in the middle", brokenHost(greeted(func(rw io.ReadWriter, orders *json.Decoder) {
			io.WriteString(rw, `{"failed":"too hot"}`)
		})), "there: a worker failed: too hot"},
		{"its histogram is malformed", brokenHost(greeted(func(rw io.ReadWriter, orders *json.Decoder) {
			io.WriteString(rw, `{"report":{"latency":"?"}}`)
			_, _ = io.Copy(io.Discard, orders.Buffered())
		})), "there: "},
	} {
		if _, err := Run(t.Context(), plan, Options{Hosts: []WorkerHost{test.host}}); !contains(err, test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
}

func TestWorkerRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		order order
		want  string
	}{
		{"not a share", order{Arrive: true}, "not a share"},
		{"a share of nothing", order{Share: &share{}}, "share: subscribers: 0"},
		{"a share without nodes", order{Share: &share{Plan: Plan{Target: Target{Nodes: []string{"http://127.0.0.1"}}, Subscribers: 1}}}, "no nodes"},
	} {
		ours, theirs := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- ServeWorker(t.Context(), theirs) }()
		l := newLines[order, reply](ours)
		for {
			r, err := l.receive()
			if err != nil {
				t.Fatal(err)
			}
			if r.Hello != nil {
				break
			}
			if err := l.send(order{Time: newClock().now()}); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.send(test.order); err != nil {
			t.Fatal(err)
		}
		if r, err := l.receive(); err != nil || !strings.Contains(r.Failed, test.want) {
			t.Errorf("%s: reply %+v, %v", test.name, r, err)
		}
		if err := <-done; !contains(err, test.want) {
			t.Errorf("%s: error %v", test.name, err)
		}
		ours.Close()
	}
}

// Workers end with their coordinator.
func TestWorkerEndsWithItsCoordinator(t *testing.T) {
	stream, err := LocalProcesses().Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := stream.(*process)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if !closed(p.done) {
		t.Error("the process is still there")
	}
}
