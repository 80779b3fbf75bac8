package cometjs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"comet/internal/testenv"
)

// TestBundle runs the tests of the module bundle, which compare comet.js with
// what its sources make.
func TestBundle(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-C", "bundle", "-deps", ".")
	list.Env = append(os.Environ(), "GOPROXY=off")
	if err := list.Run(); err != nil && !testenv.All() {
		t.Skip("esbuild is not in Go's module cache: `make generate` downloads it")
	}
	// go test's cache knows which files this test looks at, not those of its child.
	sources, err := filepath.Glob(filepath.Join("src", "*.js"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(sources, "comet.js") {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	if output, err := exec.CommandContext(t.Context(), "go", "test", "-C", "bundle", ".").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
