package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// childNode is a node in a process of its own, in memory, on a free port.
type childNode struct {
	command *exec.Cmd
	kill    context.CancelFunc
	ended   chan struct{} // closed by run

	// Valid once it serves.
	url string
}

// childStart is how long a node may take until it serves.
const childStart = 10 * time.Second

// startChildNode starts a node and returns when it serves. The node has the
// default settings: it inherits no COMET_ variables. It runs until stop is
// called, even if ctx ends after startChildNode returned.
func startChildNode(ctx context.Context) (*childNode, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	running, kill := context.WithCancel(context.WithoutCancel(ctx))
	n := &childNode{
		command: exec.CommandContext(running, self, "serve", "--http-listen", "127.0.0.1:0", "--admin-listen", "", "--log-format", "json"),
		kill:    kill,
		ended:   make(chan struct{}),
	}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "COMET_") {
			n.command.Env = append(n.command.Env, v)
		}
	}
	detach(n.command)
	serving := make(chan error, 1)
	go n.run(serving)
	select {
	case err = <-serving:
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-time.After(childStart):
		err = fmt.Errorf("it does not serve within %v", childStart)
	}
	if err != nil {
		n.stop()
		return nil, fmt.Errorf("start a node: %w", err)
	}
	return n, nil
}

// run runs the node to its end. It keeps its thread locked, because Linux kills
// the child when the thread that started it ends (https://go.dev/issue/27505).
func (n *childNode) run(serving chan<- error) {
	defer close(n.ended)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	log, err := n.command.StderrPipe()
	if err == nil {
		err = n.command.Start()
	}
	if err != nil {
		serving <- err
		return
	}
	serving <- n.readURL(log)
	_, _ = io.Copy(io.Discard, log) // a full pipe would block the node
	_ = n.command.Wait()            // it was killed
}

// readURL reads the log until it has the URL at which the node serves.
func (n *childNode) readURL(log io.Reader) error {
	last := "nothing logged"
	for lines := bufio.NewScanner(log); lines.Scan(); {
		last = lines.Text()
		var line struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			n.url = line.URL
			return nil
		}
	}
	return errors.New("it ended; its last log line: " + last)
}

func (n *childNode) pid() int { return n.command.Process.Pid }

// stop kills the node, without a drain: it holds nothing worth keeping.
func (n *childNode) stop() {
	n.kill()
	<-n.ended
}
