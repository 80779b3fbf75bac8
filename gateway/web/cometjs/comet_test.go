package cometjs

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"comet/internal/testenv"
)

// TestNode runs comet.test.js, which gets the address of the cluster's proxy.
func TestNode(t *testing.T) {
	t.Parallel()
	node := testenv.Program(t, "node")
	w := newCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, node, "--test", "--test-reporter=spec", "comet.test.js")
	command.Env = append(os.Environ(), "COMET_TEST_URL="+w.url, "COMET_TEST_BUFFERING="+behindNginx(t, w))
	output, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	t.Logf("%s", output)
}
