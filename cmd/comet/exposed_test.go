package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// A node warns of a file with a secret that everyone on the machine can read, at
// its start and when a reload names one, and shows nothing of it.
func TestExposedSecrets(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other permissions")
	}
	mine, open := writeFile(t, "backend:"+backendKey+"\n"), writeFile(t, "backend:"+backendKey+"\n")
	for path, mode := range map[string]os.FileMode{mine: 0o600, open: 0o604} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	settings := writeFile(t, fmt.Sprintf("auth: {keys_file: %s}\n", mine))
	p, _ := startNode(t, "--config", settings)
	writeTestFile(t, settings, fmt.Appendf(nil, "auth: {keys_file: %s}\n", open))
	p.awaitErr(`level=WARN msg="every user of this machine can read a file with a secret; .*" .*setting=auth.keys_file file=` + open)
	if text := p.errOut.String(); strings.Contains(text, "file="+mine) || strings.Contains(text, backendKey) {
		t.Errorf("it says\n%s", text)
	}
}
