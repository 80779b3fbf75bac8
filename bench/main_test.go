package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the worker process that tests start.
func TestMain(m *testing.M) {
	if slices.Equal(os.Args[1:], []string{"bench", "worker"}) {
		if err := ServeWorker(context.Background(), stdio{os.Stdin, os.Stdout}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

type stdio struct {
	io.Reader
	io.Writer
}
