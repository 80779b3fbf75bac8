// Package servertest is what tests need of a node's clients and operators:
// requests, event streams, credentials and files of settings.
package servertest

import (
	"os"
	"path/filepath"
	"testing"
)

// NewFile writes content to a new file, comet.yaml in a folder of its own, and
// returns its path.
func NewFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "comet.yaml")
	WriteFile(t, path, []byte(content))
	return path
}

// WriteFile writes content to the file at path.
func WriteFile(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
