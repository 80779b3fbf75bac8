package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// LocalProcesses returns this machine as a host. Each worker is a process: this
// program with the arguments args (default: bench worker), which must call
// ServeWorker with its standard input and output. Linux kills the workers when
// this process ends.
func LocalProcesses(args ...string) WorkerHost {
	if len(args) == 0 {
		args = []string{"bench", "worker"}
	}
	return WorkerHost{Name: "this machine", Start: func(context.Context) (io.ReadWriteCloser, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		return startProcess(exec.Command(self, args...))
	}}
}

// endTime is how long a worker process may take to end.
const endTime = 5 * time.Second

// process is a worker's process and the stream to it.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    io.ReadCloser
	errors tail
	done   chan struct{} // closed by run when the process has ended
	err    error         // of its end; valid after done
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Stderr = &p.errors
	cmd.SysProcAttr = diesWithParent()
	// Wait closes the pipes of exec.Cmd, even before they are read: make other ones.
	in, toIn, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fromOut, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close(), toIn.Close())
	}
	cmd.Stdin, cmd.Stdout, p.in, p.out = in, out, toIn, fromOut
	started := make(chan error)
	go p.run(started)
	err = <-started
	in.Close()
	out.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a worker process: %w", err), toIn.Close(), fromOut.Close())
	}
	return p, nil
}

// run starts the process and waits for it. It keeps its thread locked, because
// Linux kills the child when the thread that started it ends
// (https://go.dev/issue/27505).
func (p *process) run(started chan<- error) {
	defer close(p.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
	}
}

// Read implements io.Reader. At the end of the stream its error has what the
// process wrote to its error output, if anything.
func (p *process) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	select {
	case <-p.done:
	case <-time.After(endTime):
	}
	if text := p.errors.String(); text != "" {
		return n, fmt.Errorf("the worker process ended: %s", text)
	}
	return n, io.EOF
}

// Write implements io.Writer.
func (p *process) Write(b []byte) (int, error) { return p.in.Write(b) }

// Close implements io.Closer. The end of its input asks the process to end. After
// endTime Close kills it. Close waits for its end.
func (p *process) Close() error {
	_ = p.in.Close()
	select {
	case <-p.done:
	case <-time.After(endTime):
		_ = p.cmd.Process.Kill() // it may just have ended
		<-p.done
	}
	return p.out.Close()
}

// tail keeps the last bytes written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 2 << 10

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-tailSize):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
