package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// init keeps the main thread, the only one that cannot end, for the main
// goroutine, so that TestThreadEnds never runs on it.
func init() { runtime.LockOSThread() }

// TestOrphan kills a test process that has a server: the server's connection
// must end. The process is this test itself, with orphanVariable.
func TestOrphan(t *testing.T) {
	if os.Getenv(orphanVariable) != "" {
		fmt.Println(Start(t).Addr())
		select {}
	}
	lookUp(t)
	test := exec.Command(os.Args[0], "-test.run=^TestOrphan$")
	test.Env = append(os.Environ(), orphanVariable+"=1", "TMPDIR="+t.TempDir())
	test.Stderr = os.Stderr
	output, err := test.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := test.Start(); err != nil {
		t.Fatal(err)
	}
	defer test.Wait()
	defer test.Process.Kill()
	addr, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("address of the server: %q, %v", addr, err)
	}
	connection, err := net.Dial("unix", strings.TrimSpace(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	test.Process.Kill()
	connection.SetReadDeadline(time.Now().Add(endTimeout))
	if _, err := connection.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the end of the connection", err)
	}
}

// TestThreadEnds ends the thread that Start was called on: the server stays.
func TestThreadEnds(t *testing.T) {
	lookUp(t)
	servers, thread := make(chan *Server, 1), make(chan int, 1)
	go func() {
		runtime.LockOSThread() // without unlocking it, so the thread ends with the goroutine
		thread <- syscall.Gettid()
		servers <- Start(t)
	}()
	server := <-servers
	awaitGone(t, filepath.Join("/proc/self/task", strconv.Itoa(<-thread)))
	server.Do("PING")
}

// awaitGone returns when path does not exist any more.
func awaitGone(t *testing.T, path string) {
	t.Helper()
	deadline := time.After(endTimeout)
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s is still there", path)
		}
	}
}
