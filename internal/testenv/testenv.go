// Package testenv decides which tests run on this machine, and says why one does not.
//
// A plain `go test` and `make test` run the tests that are not large and need no
// program but a C compiler and redis-server, so that they do the same on every
// machine, whatever else is installed there. `make test-all` sets COMET_TEST_ALL:
// then every test runs and a missing program is a failure.
package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// variable is set by `make test-all`.
const variable = "COMET_TEST_ALL"

// packages are the Debian packages of the programs that tests run. `make test-all`
// installs all of them.
var packages = map[string]string{
	"caddy":           "caddy",
	"cc":              "gcc libc6-dev",
	"chromium":        "chromium",
	"curl":            "curl",
	"git":             "git",
	"haproxy":         "haproxy",
	"ip":              "iproute2",
	"make":            "make",
	"nginx":           "nginx",
	"node":            "nodejs",
	"npm":             "npm",
	"openssl":         "openssl",
	"php":             "php-cli",
	"promtool":        "prometheus",
	"python3":         "python3",
	"redis-cli":       "redis-tools",
	"redis-server":    "redis-server",
	"sed":             "sed",
	"sh":              "dash",
	"systemd-analyze": "systemd",
}

// basic are the programs that plain runs use too.
var basic = map[string]bool{"cc": true, "redis-server": true, "sh": true}

// All reports whether every test runs and every program is required.
func All() bool { return os.Getenv(variable) != "" }

// Large skips the test t unless every test runs. A test is large if it takes more
// than a few seconds of two cores. A benchmark is never skipped: it runs only when
// somebody names it.
func Large(t testing.TB) {
	t.Helper()
	if _, benchmark := t.(*testing.B); !benchmark && !All() {
		t.Skip("large: `make test-all` runs it")
	}
}

// Patience is how long a test waits for what must come. It is only against
// hanging: on a busy machine anything takes seconds.
const Patience = 3 * time.Minute

// emojiFont is what the chat's pictures need, and no program.
const emojiFont = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"

// Missing returns the Debian packages of the programs that are not installed,
// sorted.
func Missing() (names []string) {
	for program, debian := range packages {
		if lookUp(program) == "" {
			names = append(names, strings.Fields(debian)...)
		}
	}
	if _, err := os.Stat(emojiFont); err != nil {
		names = append(names, "fonts-noto-color-emoji")
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// lookUp returns the path of a program, or "".
func lookUp(name string) string {
	// Debian keeps servers out of the PATH of users other than root.
	for _, folder := range []string{"", "/usr/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
			return path
		}
	}
	return ""
}

// Program returns the path of a program. A test that uses any but the basic
// programs is large. If the program is not installed, Program skips t, or fails t
// where every program is required, with the package that has it. A name that
// package testenv does not know is a failure.
func Program(t testing.TB, name string) string {
	t.Helper()
	debian, known := packages[name]
	if !known {
		t.Fatalf("add %s to the packages in internal/testenv", name)
	}
	if !basic[name] {
		Large(t)
	}
	if path := lookUp(name); path != "" {
		return path
	}
	const missing = "%s is not installed: `apt-get install %s`"
	if All() {
		t.Fatalf(missing, name, debian)
	}
	t.Skipf(missing, name, debian)
	return ""
}
