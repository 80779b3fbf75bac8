package pubsub

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"comet/internal/testenv"
)

// TestModelNotices runs the model over each mutant: it must find every one. It
// builds the package once per mutant.
func TestModelNotices(t *testing.T) {
	testenv.Large(t)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			overlay := mutate(t, m.file, m.old, m.new)
			out, err := exec.CommandContext(t.Context(),
				"go", "test", "-overlay", overlay, "-run", "^TestModel$", ".", "-model.schedules=400000").CombinedOutput()
			switch {
			case err == nil:
				t.Error("not noticed")
			case !strings.Contains(string(out), "the shortest schedule") && !strings.Contains(string(out), "panic:"):
				t.Errorf("the mutant does not run:\n%s", out)
			}
		})
	}
}

// TestMutantsApply keeps the mutants in step with the code.
func TestMutantsApply(t *testing.T) {
	t.Parallel()
	for _, m := range mutants {
		mutate(t, m.file, m.old, m.new)
	}
}

// mutate returns the name of a `go build -overlay` file that puts a copy of
// file with the first old replaced by new in its place.
func mutate(t *testing.T, file, old, new string) string {
	t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(code), old) {
		t.Errorf("%s has no longer:\n%s", file, old)
	}
	dir := t.TempDir()
	mutant := filepath.Join(dir, file)
	if err := os.WriteFile(mutant, []byte(strings.Replace(string(code), old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{path: mutant}})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}
