package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"comet/bench"
)

// endWithLast returns a start that calls end when the last worker has ended. A
// load test starts all of its workers before it ends any.
func endWithLast(start bench.Start, end func()) bench.Start {
	var mu sync.Mutex
	running := 0
	return func(ctx context.Context) (io.ReadWriteCloser, error) {
		stream, err := start(ctx)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		running++
		return &counted{ReadWriteCloser: stream, ended: sync.OnceFunc(func() {
			mu.Lock()
			defer mu.Unlock()
			if running--; running == 0 {
				end()
			}
		})}, nil
	}
}

// counted is a worker's stream that calls ended when it is closed.
type counted struct {
	io.ReadWriteCloser
	ended func()
}

func (c *counted) Close() error {
	defer c.ended()
	return c.ReadWriteCloser.Close()
}

// agentPause is the time between two tries to connect to an agent.
const agentPause = 500 * time.Millisecond

// awaitAgents makes hosts retry for wait while their agents do not listen yet,
// so that agents and load test can start together. With 0 they try once.
func awaitAgents(hosts []bench.WorkerHost, wait time.Duration) []bench.WorkerHost {
	for i, p := range hosts {
		hosts[i].Start = func(ctx context.Context) (io.ReadWriteCloser, error) {
			late := time.After(wait)
			for {
				stream, err := p.Start(ctx)
				if _, absent := errors.AsType[*net.OpError](err); !absent || wait == 0 {
					return stream, err
				}
				select {
				case <-time.After(agentPause):
				case <-late:
					return nil, err
				case <-ctx.Done():
					return nil, err
				}
			}
		}
	}
	return hosts
}
