//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// lab is the Redis of all servers, and the programs and files to start them.
type lab struct {
	dir        string // of everything that is written; removed by close
	comet      string // binary
	nginx      tools
	redis      *process
	redisAddr  string
	connection *redis.Client
}

// server is a measured server.
type server struct {
	process *process
	address netip.AddrPort
	preset  string // of bench.Target
}

// openLab finds or builds the programs and starts Redis. After an error it leaves
// nothing running.
func openLab(ctx context.Context, cometPath string) (l *lab, err error) {
	l = &lab{comet: cometPath}
	if l.nginx, err = findTools(); err != nil {
		return nil, err
	}
	if l.dir, err = os.MkdirTemp("", "comparison"); err != nil {
		return nil, err
	}
	if err := l.prepare(ctx); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *lab) prepare(ctx context.Context) error {
	if l.comet == "" {
		l.comet = filepath.Join(l.dir, "comet")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", l.comet, "comet/cmd/comet")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build comet: %w\n%s", err, out)
		}
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	l.redisAddr = address.String()
	l.redis, err = startProcess(filepath.Join(l.dir, "redis.log"), l.nginx.redis,
		"--bind", address.Addr().String(), "--port", fmt.Sprint(address.Port()), "--dir", l.dir, "--save", "", "--daemonize", "no")
	if err != nil {
		return err
	}
	l.connection = redis.NewClient(&redis.Options{Addr: l.redisAddr})
	return l.redis.await(ctx, func() error { return l.connection.Ping(ctx).Err() })
}

// close ends Redis and removes all files.
func (l *lab) close() (err error) {
	if l.connection != nil {
		err = l.connection.Close()
	}
	if l.redis != nil {
		l.redis.stop()
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

// start starts a server on an empty Redis and returns when it accepts messages.
func (l *lab) start(ctx context.Context, name string) (*server, error) {
	if err := l.connection.FlushAll(ctx).Err(); err != nil {
		return nil, fmt.Errorf("empty Redis: %w", err)
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &server{address: address}
	switch name {
	case comet:
		s.preset = "comet"
		s.process, err = startProcess(filepath.Join(l.dir, "comet.log"), l.comet,
			"serve", "--http-listen", address.String(), "--admin-listen", "", "--drain-delay", "0s", "--redis-addresses", l.redisAddr, "--redis-prefix", "comparison")
	case nchan:
		s.preset = "nchan"
		s.process, err = l.startNginx(address)
	case bare:
		s.preset = "comet"
		s.process, err = l.startBare(address)
	}
	if err != nil {
		return nil, err
	}
	if err := s.process.await(ctx, func() error { return l.probe(ctx, name, s) }); err != nil {
		s.process.stop()
		return nil, err
	}
	return s, nil
}

// probePaths has the path of a server's first publish, by preset.
var probePaths = map[string]string{"comet": "/v1/channels/probe/messages", "nchan": "/publish?id=probe"}

// probe publishes a message and checks that it is in Redis.
func (l *lab) probe(ctx context.Context, name string, s *server) error {
	url := "http://" + s.address.String() + probePaths[s.preset]
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("probe"))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "text/plain")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode/100 != 2 {
		return errors.New(response.Status)
	}
	if keys, err := l.connection.DBSize(ctx).Result(); err != nil || keys == 0 && name != bare {
		return errors.Join(errors.New("it takes messages, but nothing is in Redis"), err)
	}
	return nil
}

// await calls try until the process is ready, has ended, or takes too long.
func (p *process) await(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return p.explain(errors.New("it ended"))
		case <-ctx.Done():
			return p.explain(fmt.Errorf("not ready: %w", err))
		}
	}
}

// freeAddress returns a loopback address without a listener.
func freeAddress() (netip.AddrPort, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer l.Close()
	return netip.ParseAddrPort(l.Addr().String())
}
