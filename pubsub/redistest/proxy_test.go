package redistest

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// visitor is one connection to Redis that speaks inline commands.
type visitor struct {
	t *testing.T
	net.Conn
}

func visit(t *testing.T, p *Proxy) visitor {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return visitor{t, c}
}

func (v visitor) ask() {
	v.t.Helper()
	if _, err := io.WriteString(v, "PING\r\n"); err != nil {
		v.t.Fatal(err)
	}
}

func (v visitor) wantAnswer() {
	v.t.Helper()
	const want = "+PONG\r\n"
	answer := make([]byte, len(want))
	v.SetReadDeadline(time.Now().Add(doTimeout))
	if _, err := io.ReadFull(v, answer); err != nil || string(answer) != want {
		v.t.Fatalf("got %q, %v", answer, err)
	}
}

func (v visitor) wantSilence() {
	v.t.Helper()
	v.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := v.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		v.t.Fatalf("got %d bytes, %v; want silence", n, err)
	}
}

func (v visitor) wantEnd(end error) {
	v.t.Helper()
	v.SetReadDeadline(time.Now().Add(doTimeout))
	if _, err := v.Read(make([]byte, 1)); !errors.Is(err, end) {
		v.t.Fatalf("got %v, want %v", err, end)
	}
}

func TestProxyCut(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]Option{"socket": nil, "tcp": {TCP}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := Start(t, options...)
			cut, other := StartProxy(t, server.Addr()), StartProxy(t, server.Addr())
			before, quits, elsewhere := visit(t, cut), visit(t, cut), visit(t, other)
			before.ask()
			before.wantAnswer()

			cut.Cut()
			cut.Cut()
			during := visit(t, cut)
			before.ask()
			during.ask()
			quits.Close()
			elsewhere.ask()
			elsewhere.wantAnswer()
			before.wantSilence()
			during.wantSilence()

			cut.Heal()
			cut.Heal()
			before.wantAnswer()
			during.wantAnswer()
		})
	}
}

// TestProxyCutEnd ends the server during a cut: no client notices.
func TestProxyCutEnd(t *testing.T) {
	t.Parallel()
	server := Start(t)
	proxy := StartProxy(t, server.Addr())
	v := visit(t, proxy)
	v.ask()
	v.wantAnswer()
	proxy.Cut()
	server.Kill()
	v.wantSilence()
	proxy.Heal()
	v.wantEnd(io.EOF)
	c, err := net.Dial("tcp", proxy.Addr())
	if err == nil { // else the refusal came at once
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestProxyReset(t *testing.T) {
	t.Parallel()
	proxy := StartProxy(t, Start(t, TCP).Addr())
	a, b := visit(t, proxy), visit(t, proxy)
	for _, v := range []visitor{a, b} {
		v.ask()
		v.wantAnswer()
	}
	proxy.Cut() // which does not keep a reset away
	if n := proxy.Reset(); n != 2 {
		t.Errorf("reset %d connections, want 2", n)
	}
	a.wantEnd(syscall.ECONNRESET)
	b.wantEnd(syscall.ECONNRESET)
	proxy.Heal()
	c := visit(t, proxy)
	c.ask()
	c.wantAnswer()
}

func TestProxyDelay(t *testing.T) {
	t.Parallel()
	const delay = 30 * time.Millisecond
	proxy := StartProxy(t, Start(t).Addr())
	v := visit(t, proxy)
	proxy.Delay(delay)
	start := time.Now()
	const pings = 1000
	for range pings {
		v.ask()
	}
	for range pings {
		v.wantAnswer()
	}
	took := time.Since(start)
	if took < 2*delay {
		t.Errorf("a round trip took %v, want %v at least", took, 2*delay)
	}
	if took > pings*delay {
		t.Errorf("%d round trips at once took %v: they waited for each other", pings, took)
	}
}

// TestProxyBounded sends without end into a cut: the sender has to stop.
func TestProxyBounded(t *testing.T) {
	t.Parallel()
	proxy := StartProxy(t, Start(t).Addr())
	v := visit(t, proxy)
	proxy.Cut()
	v.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	sent, err := 0, error(nil)
	for n := 0; err == nil; sent += n {
		n, err = v.Write(make([]byte, chunkSize))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after %d bytes: %v", sent, err)
	}
}

// TestProxyReplica cuts off a replica alone.
func TestProxyReplica(t *testing.T) {
	t.Parallel()
	primary := Start(t, TCP)
	replica, proxy := Replica(t, primary), StartProxy(t, primary.Addr())
	replica.ReplicaOf(proxy.Addr())
	primary.AwaitReplica(replica)
	proxy.Cut()
	primary.Do("SET", "key", "value")
	if got := replica.Do("GET", "key"); got != nil {
		t.Errorf("through a cut came %v", got)
	}
	proxy.Heal()
	primary.AwaitReplica(replica)
	if got := replica.Do("GET", "key"); got != "value" {
		t.Errorf("after it %v", got)
	}
}
