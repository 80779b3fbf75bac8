package server

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"comet/internal/servertest"
)

// A node warns of a file with a secret that everyone on the machine can read, at
// its start and when a reload names one, and shows nothing of it.
func TestExposedSecrets(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other permissions")
	}
	mine, open := servertest.NewFile(t, "backend:"+servertest.BackendKey+"\n"), servertest.NewFile(t, "backend:"+servertest.BackendKey+"\n")
	for path, mode := range map[string]os.FileMode{mine: 0o600, open: 0o604} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	settings := servertest.NewFile(t, fmt.Sprintf("auth: {keys_file: %s}\n", mine))
	p, _ := startNode(t, "--config", settings)
	servertest.WriteFile(t, settings, fmt.Appendf(nil, "auth: {keys_file: %s}\n", open))
	p.awaitLog(`level=WARN msg="secret file is readable by every user; .*" .*setting=auth.keys_file file=` + open)
	if text := p.log.String(); strings.Contains(text, "file="+mine) || strings.Contains(text, servertest.BackendKey) {
		t.Errorf("it says\n%s", text)
	}
}
