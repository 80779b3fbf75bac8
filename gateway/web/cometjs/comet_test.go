package cometjs

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// nodeVariable set to "required" makes a missing Node an error, not a skip.
const nodeVariable = "COMET_TEST_NODE"

// lookNode is where Node is, or the test's skip.
func lookNode(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil && os.Getenv(nodeVariable) == "required" {
		t.Fatalf("node is not installed, and %s says that it must be", nodeVariable)
	}
	if err != nil {
		t.Skip("node is not installed (Debian: apt-get install nodejs)")
	}
	return node
}

// Everything in comet.test.js, which knows the world by its front's address.
func TestNode(t *testing.T) {
	t.Parallel()
	node := lookNode(t)
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, node, "--test", "--test-reporter=spec", "comet.test.js")
	command.Env = append(os.Environ(), "COMET_TEST_URL="+w.url, "COMET_TEST_BUFFERING="+behindNginx(t, w))
	output, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	t.Logf("%s", output)
}
