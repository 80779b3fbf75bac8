package servertest

import (
	"bytes"
	"regexp"
	"sync"
	"testing"
	"time"

	"comet/internal/testenv"
)

// Output collects what a process or a logger writes.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed, and replaced, at each write
}

// NewOutput returns an empty output.
func NewOutput() *Output { return &Output{more: make(chan struct{})} }

// Write implements io.Writer. It may be called concurrently.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(b)
}

// now returns the text, and a channel that is closed at the next write.
func (o *Output) now() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.more
}

// String returns all that was written.
func (o *Output) String() string {
	text, _ := o.now()
	return text
}

// Await waits for the pattern, and returns the first match and its groups. It
// fails t when ended is closed before the pattern was written.
func (o *Output) Await(t testing.TB, pattern string, ended <-chan struct{}) []string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	late := time.After(testenv.Patience)
	for {
		text, more := o.now()
		if match := expression.FindStringSubmatch(text); match != nil {
			return match
		}
		select {
		case <-more:
		case <-ended:
			if match := expression.FindStringSubmatch(o.String()); match != nil {
				return match
			}
			t.Fatalf("the process ended without writing %q", pattern)
		case <-late:
			t.Fatalf("the process does not write %q", pattern)
		}
	}
}
