package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// writeFile is the path of a new file with that content.
func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// parseFlags is a parsed flag set that has every setting.
func parseFlags(t testing.TB, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	RegisterFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return fs
}

func mustLoad(t testing.TB, src Source) *Loaded {
	t.Helper()
	l, err := Load(src)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return l
}

// loadProblems is what Load finds wrong.
func loadProblems(t testing.TB, src Source) Problems {
	t.Helper()
	l, err := Load(src)
	if err == nil {
		return nil
	}
	if l != nil {
		t.Errorf("Load returned settings beside its error")
	}
	problems, ok := errors.AsType[Problems](err)
	if !ok {
		t.Fatalf("Load: %T, want Problems", err)
	}
	return problems
}
