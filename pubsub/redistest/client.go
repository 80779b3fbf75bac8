package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"comet/internal/testenv"
)

const (
	// readyTimeout is for a loaded machine; 20 to 80 ms are usual.
	readyTimeout = 30 * time.Second
	readyPoll    = 2 * time.Millisecond
	doTimeout    = testenv.Patience
)

// Options is how go-redis reaches the server; the caller may change it.
func (s *Server) Options() *redis.Options {
	tls, _ := s.TLS()
	return &redis.Options{Network: s.Network(), Addr: s.addr, Password: s.password, TLSConfig: tls}
}

// Client is a new go-redis client of the server, which cleanup closes.
func (s *Server) Client() *redis.Client {
	client := redis.NewClient(s.Options())
	s.t.Cleanup(func() { client.Close() })
	return client
}

// Do runs one command and returns its reply as go-redis gives it: nil, string,
// int64, []any and so on. An error fails the test.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	reply, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("redis %v: %v", args, err)
	}
	return reply
}

// try is Do for what may fail.
func (s *Server) try(args ...any) (any, error) {
	// Not the test's context: cleanups may ask Redis too.
	ctx, cancel := context.WithTimeout(context.Background(), doTimeout)
	defer cancel()
	reply, err := s.client.Do(ctx, args...).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return reply, err
}

// info is one field of a section of INFO.
func (s *Server) info(section, name string) (string, error) {
	text, err := s.try("INFO", section)
	if err != nil {
		return "", err
	}
	return field(text, name)
}

// field is one field of a reply that is lines of name:value.
func field(reply any, name string) (string, error) {
	text, _ := reply.(string)
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return value, nil
		}
	}
	return "", fmt.Errorf("the reply has no %s", name)
}

// KillPubSub cuts every connection that subscribes to something and returns
// how many there were.
func (s *Server) KillPubSub() int {
	s.t.Helper()
	return int(s.Do("CLIENT", "KILL", "TYPE", "pubsub").(int64))
}

// awaitReady returns when the newest process answers and has its data.
func (s *Server) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.process.done:
			return fmt.Errorf("it ended at once, saying:\n%s", s.logTail())
		case <-ctx.Done():
			return fmt.Errorf("no answer within %v: %w", readyTimeout, err)
		case <-tick.C:
		}
	}
}

// ready asks once. It wants the process's own answer: on a port another
// server may be first.
func (s *Server) ready(ctx context.Context) error {
	connection, err := net.Dial(s.Network(), s.addr)
	if err != nil {
		return err // go-redis would say so too, but also log each attempt
	}
	connection.Close()
	options := s.Options()
	options.MaxRetries = -1
	client := redis.NewClient(options)
	defer client.Close()
	info, err := client.Info(ctx).Result()
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("process_id:%d\r\n", s.process.pid()); !strings.Contains(info, want) {
		return fmt.Errorf("INFO has no %q", want)
	}
	if strings.Contains(info, "\nloading:1\r\n") { // a Sentinel has no such field
		return errors.New("it is still loading its data")
	}
	return nil
}
