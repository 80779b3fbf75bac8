// Package testenv decides which tests run on this machine, and says why one does not.
//
// A plain `go test` and `make test` skip a test that is large or needs a program
// that is not installed. `make test-all` sets COMET_TEST_ALL: then large tests
// run and a missing program is a failure.
package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// variable is set by `make test-all`.
const variable = "COMET_TEST_ALL"

// packages are the Debian packages that `make test-all` installs, by program.
var packages = map[string]string{
	"cc":           "gcc libc6-dev",
	"chromium":     "chromium",
	"curl":         "curl",
	"haproxy":      "haproxy",
	"nginx":        "nginx",
	"node":         "nodejs",
	"npm":          "npm",
	"php":          "php-cli",
	"promtool":     "prometheus",
	"python3":      "python3",
	"redis-cli":    "redis-tools",
	"redis-server": "redis-server",
	"sed":          "sed",
	"sh":           "dash",
}

// All reports whether every test runs and every program is required.
func All() bool { return os.Getenv(variable) != "" }

// Large skips t unless every test runs. A test is large if it takes more than a
// few seconds of two cores, or needs a browser or a load balancer.
func Large(t testing.TB) {
	t.Helper()
	if !All() {
		t.Skip("large: `make test-all` runs it")
	}
}

// Program returns the path of a program. If the program is not installed,
// Program skips t, or fails t where every program is required, with the package
// that has it. A name that package testenv does not know is a failure.
func Program(t testing.TB, name string) string {
	t.Helper()
	debian, known := packages[name]
	if !known {
		t.Fatalf("add %s to the packages in internal/testenv", name)
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	// Debian keeps servers out of the PATH of users other than root.
	for _, folder := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
			return path
		}
	}
	const missing = "%s is not installed: `apt-get install %s`"
	if All() {
		t.Fatalf(missing, name, debian)
	}
	t.Skipf(missing, name, debian)
	return ""
}
