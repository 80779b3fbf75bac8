package server

import (
	"context"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"comet/config"
	"comet/internal/servertest"
	"comet/internal/testenv"
)

// running is a node that runs in this process. Its methods are for the test's own
// goroutine.
type running struct {
	*Node
	t     testing.TB
	log   *servertest.Output
	stop  context.CancelCauseFunc
	ended chan struct{}
	err   error // of Run, once ended
}

// startNode runs a node on a free port with the flags args of `comet serve`,
// without an admin listener unless they turn it on. The end of t ends the node.
func startNode(t testing.TB, args ...string) (n *running, url string) {
	t.Helper()
	n = &running{t: t, log: servertest.NewOutput(), ended: make(chan struct{})}
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	file := flags.String("config", "", "")
	redis := flags.StringSlice("redis", nil, "")
	config.RegisterFlags(flags)
	if err := flags.Parse(append([]string{"--http-listen", "127.0.0.1:0", "--admin-listen", "", "--drain-delay", "0s", "--drain-spread", "0s"}, args...)); err != nil {
		t.Fatal(err)
	}
	for _, address := range *redis { // as the command line has it
		if err := flags.Set("redis-addresses", address); err != nil {
			t.Fatal(err)
		}
	}
	load := func() (*config.Loaded, error) { return config.Load(config.Source{File: *file, Flags: flags}) }
	settings, err := load()
	if err != nil {
		t.Fatal(err)
	}
	logger, level := NewLogger(n.log, &settings.Log)
	n.Node, err = New(t.Context(), settings, Options{Version: "devel", Logger: logger, Level: level, Load: load, File: *file})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	n.stop = stop
	go func() {
		defer close(n.ended)
		n.err = n.Run(ctx)
	}()
	t.Cleanup(func() {
		stop(nil)
		<-n.ended
		if t.Failed() {
			t.Logf("the log of %v:\n%s", args, n.log)
		}
	})
	n.awaitLog("msg=serving ")
	return n, n.URL()
}

// startNodeWithAdmin is startNode with an admin listener on a free port.
func startNodeWithAdmin(t testing.TB, args ...string) (n *running, url, admin string) {
	t.Helper()
	n, url = startNode(t, append([]string{"--admin-listen", "127.0.0.1:0"}, args...)...)
	return n, url, n.AdminURL()
}

// awaitLog waits for the pattern in the log, and returns the first match and its
// groups.
func (n *running) awaitLog(pattern string) []string {
	n.t.Helper()
	return n.log.Await(n.t, pattern, n.ended)
}

// terminate begins the drain, as SIGTERM does.
func (n *running) terminate() { n.stop(ErrTerminated) }

// wantLeft waits for the end of the node, and wants no error.
func (n *running) wantLeft() {
	n.t.Helper()
	select {
	case <-n.ended:
	case <-time.After(testenv.Patience):
		n.t.Fatal("the node does not end")
	}
	if n.err != nil {
		n.t.Errorf("the node ended with %v", n.err)
	}
}

// wantLeave terminates the node, and wants no error.
func (n *running) wantLeave() {
	n.t.Helper()
	n.terminate()
	n.wantLeft()
}
