package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCometIsMadeOfItsSources(t *testing.T) {
	want, err := bundle(filepath.Join("..", "src"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join("..", "comet.js"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("comet.js is not what its sources make: run `go generate ./gateway/web/cometjs`")
	}
}

func TestMistakesHaveTheirPlace(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"syntax", "export const a = 1;\nconst = 2;\n", "comet.js:2: "},
		{"import", "import './nothing.js';\n", `Could not resolve "./nothing.js"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "comet.js"), []byte(c.source), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := bundle(dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
