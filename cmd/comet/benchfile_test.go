package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestWriteWhole(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "result.json")
	cmd := new(cobra.Command)
	if err := canWrite("--json", path); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"first", "second"} {
		if err := writeWhole(cmd, "--json", path, write(text, nil)); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, text)
	}
	failed := errors.New("half")
	if err := writeWhole(cmd, "--json", path, write("thi", failed)); !errors.Is(err, failed) || !strings.HasPrefix(err.Error(), "--json: ") {
		t.Errorf("the error is %v", err)
	}
	wantFile(t, path, "second")
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("files left over: %v, %v", entries, err)
	}
}

func TestWriteWholeKeepsLink(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file, link := filepath.Join(folder, "file"), filepath.Join(folder, "link")
	if err := errors.Join(os.WriteFile(file, nil, 0o666), os.Symlink(file, link)); err != nil {
		t.Skip(err)
	}
	if err := writeWhole(new(cobra.Command), "--json", link, write("text", nil)); err != nil {
		t.Fatal(err)
	}
	wantFile(t, file, "text")
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
}

func TestCanWrite(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	bad := map[string]string{
		"a folder":        folder,
		"no such folder":  filepath.Join(folder, "none", "file"),
		"an empty folder": folder + string(filepath.Separator),
	}
	for name, path := range bad {
		if err := canWrite("--report", path); err == nil || !strings.HasPrefix(err.Error(), "--report: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if runtime.GOOS != "windows" {
		if err := errors.Join(canWrite("--json", os.DevNull), writeWhole(new(cobra.Command), "--json", os.DevNull, write("x", nil))); err != nil {
			t.Error(err)
		}
		if !isDevice(os.DevNull) {
			t.Fatal("the device was replaced")
		}
	}
}

// write writes text and then fails with err.
func write(text string, err error) func(io.Writer) error {
	return func(w io.Writer) error {
		_, _ = io.WriteString(w, text)
		return err
	}
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("the file has %q, %v; want %q", got, err, want)
	}
}
