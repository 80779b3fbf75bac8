package bench

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A connection to an agent begins with one line of JSON each way: an agentRequest
// and an agentAnswer. Then it is the stream to a worker.
type (
	agentRequest struct {
		Token string `json:"token"`
	}
	agentAnswer struct {
		Error string `json:"error,omitempty"`
	}
)

const (
	entryTime = 5 * time.Second // for the first line
	entrySize = 4 << 10         // bytes of it
	entrants  = 256             // connections at a time
)

// ServeAgent lets coordinators on other machines use this one. It starts a worker
// for each connection with the right token. It serves until ctx ends, then closes
// l and all connections. Without a token it refuses to listen beyond loopback.
func ServeAgent(ctx context.Context, l net.Listener, token string, start Start, logger *slog.Logger) error {
	if address, err := netip.ParseAddrPort(l.Addr().String()); token == "" && (err != nil || !address.Addr().IsLoopback()) {
		return errors.Join(fmt.Errorf("agent: %s is open to other machines, which could load any server through it: set a token", l.Addr()), l.Close())
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	a := &agent{token: sha256.Sum256([]byte(token)), start: start, logger: logger, room: make(chan struct{}, entrants)}
	ctx, cancel := context.WithCancel(ctx)
	defer a.busy.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("agent: %w", err)
		}
		select {
		case a.room <- struct{}{}:
			a.busy.Go(func() {
				defer func() { <-a.room }()
				a.serve(ctx, c)
			})
		default:
			c.Close()
		}
	}
}

// agent is one ServeAgent.
type agent struct {
	token  [sha256.Size]byte // hashed, so that comparing takes the same time for every length
	start  Start
	logger *slog.Logger
	room   chan struct{} // has an element for each connection
	busy   sync.WaitGroup
}

func (a *agent) serve(ctx context.Context, c net.Conn) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	in, err := a.authenticate(c)
	if err != nil {
		a.logger.WarnContext(ctx, "coordinator refused", "from", c.RemoteAddr().String(), "error", err)
		answer(c, err)
		return
	}
	worker, err := a.start(ctx)
	if err != nil {
		a.logger.ErrorContext(ctx, "worker not started", "error", err)
		answer(c, fmt.Errorf("the agent could not start a worker: %w", err))
		return
	}
	if answer(c, nil) == nil {
		a.logger.InfoContext(ctx, "worker started", "from", c.RemoteAddr().String())
		pipe(c, in, worker)
	}
	_ = worker.Close() // it has ended, or been killed
	a.logger.InfoContext(ctx, "worker ended", "from", c.RemoteAddr().String())
}

// authenticate reads the request and checks its token.
func (a *agent) authenticate(c net.Conn) (*bufio.Reader, error) {
	if err := c.SetDeadline(time.Now().Add(entryTime)); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(c, entrySize)
	line, err := in.ReadSlice('\n')
	var e agentRequest
	if err == nil {
		err = json.Unmarshal(line, &e)
	}
	if err != nil {
		return nil, errors.New("the first line is not a coordinator's")
	}
	if given := sha256.Sum256([]byte(e.Token)); subtle.ConstantTimeCompare(given[:], a.token[:]) != 1 {
		return nil, errors.New("the token is wrong: it must be the agent's own")
	}
	return in, c.SetDeadline(time.Time{})
}

func answer(c net.Conn, err error) error {
	var a agentAnswer
	if err != nil {
		a.Error = err.Error()
	}
	return json.NewEncoder(c).Encode(a)
}

// pipe copies in both directions until either side ends.
func pipe(c net.Conn, in io.Reader, worker io.ReadWriteCloser) {
	var copying sync.WaitGroup
	copying.Go(func() {
		_, _ = io.Copy(worker, in)
		_ = worker.Close() // the coordinator disconnected
	})
	_, _ = io.Copy(c, worker)
	_ = c.Close() // the worker has ended: end the other copying too
	copying.Wait()
}

// DialAgents returns the hosts at the agents' addresses, each host:port. It dials
// an agent when a worker is started there.
func DialAgents(addresses []string, token string) (hosts []WorkerHost) {
	for _, address := range addresses {
		hosts = append(hosts, WorkerHost{Name: "agent " + address, Start: func(ctx context.Context) (io.ReadWriteCloser, error) {
			c, err := dialAgent(ctx, address, token)
			if err != nil {
				return nil, fmt.Errorf("agent %s: %w", address, err)
			}
			return c, nil
		}})
	}
	return hosts
}

func dialAgent(ctx context.Context, address, token string) (_ net.Conn, err error) {
	dialer := net.Dialer{Timeout: entryTime}
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if err := c.SetDeadline(time.Now().Add(2 * entryTime)); err != nil {
		return nil, err
	}
	if err := json.NewEncoder(c).Encode(agentRequest{token}); err != nil {
		return nil, err
	}
	line, err := readLine(c)
	if err != nil {
		return nil, fmt.Errorf("it does not answer as an agent does: %w", err)
	}
	var a agentAnswer
	if err := json.Unmarshal(line, &a); err != nil {
		return nil, errors.New("it does not answer as an agent does: is it an agent of this version?")
	}
	if a.Error != "" {
		return nil, errors.New(a.Error)
	}
	return c, c.SetDeadline(time.Time{})
}

// readLine reads one line and no byte after it: the rest belongs to the worker.
func readLine(r io.Reader) (line []byte, err error) {
	var b [1]byte
	for len(line) < entrySize {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, err
		}
		if b[0] == '\n' {
			return line, nil
		}
		line = append(line, b[0])
	}
	return nil, errors.New("its first line is too long")
}
