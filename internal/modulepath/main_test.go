package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"comet/internal/testenv"
)

const root = "../.."

// TestRename gives a copy of this tree another path, and builds it.
func TestRename(t *testing.T) {
	testenv.Large(t)
	tool := testenv.Program(t, "make")
	old, err := modulePath(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	tree := copyTree(t)
	const path = "example.com/you/comet2"
	out := command(t, tree, tool, "module", "PATH="+path)
	if !strings.Contains(out, path) {
		t.Errorf("it printed %s", out)
	}
	left := regexp.MustCompile(`"` + regexp.QuoteMeta(old) + `/(bench|client|cmd|config|gateway|internal|k8s|pubsub)\b`)
	eachFile(t, tree, func(name string, content []byte) {
		if found := left.Find(content); found != nil {
			t.Errorf("%s still has %s", name, found)
		}
	})
	if got := command(t, tree, "go", "list", "-m"); got != path {
		t.Errorf("the module is %s", got)
	}
	if got := command(t, filepath.Join(tree, "k8s"), "go", "list", "-m"); got != path+"/k8s" {
		t.Errorf("the module of k8s is %s", got)
	}
	if unformatted := command(t, tree, "gofmt", "-l", "."); unformatted != "" {
		t.Errorf("not formatted: %s", unformatted)
	}
	command(t, tree, "go", "build", "./...")
	command(t, tree, "go", "vet", "./config", "./client", "./internal/modulepath")
	command(t, tree, "go", "test", "-run", "TestArrows", "./cmd/comet")
	if docs := read(t, filepath.Join(tree, "docs", "clients.md")); !strings.Contains(docs, "-replace "+path+"=") || !strings.Contains(docs, `"`+path+`/client"`) {
		t.Error("docs/clients.md names the old module")
	}
}

// TestReplace follows docs/clients.md: a program of another module, in a folder beside
// the clone, uses the Go client.
func TestReplace(t *testing.T) {
	testenv.Large(t)
	docs := read(t, filepath.Join(root, "docs", "clients.md"))
	_, docs, _ = strings.Cut(docs, "\n## Go\n")
	block := func(language string) string {
		_, rest, _ := strings.Cut(docs, "\n```"+language+"\n")
		text, _, _ := strings.Cut(rest, "\n```")
		return text
	}
	folder := t.TempDir()
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(here, filepath.Join(folder, "comet")); err != nil {
		t.Fatal(err)
	}
	app := filepath.Join(folder, "app")
	if err := os.Mkdir(app, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(app, "main.go"), []byte(block("go")), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, app, testenv.Program(t, "sh"), "-ec", block("sh"))
	command(t, app, "go", "build", "-o", filepath.Join(folder, "program"), ".")
}

func TestPaths(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"example.com/you/comet": true, "comet.example": true, "example.com/You/comet/v2": true,
		"comet": false, "": false, "/usr/bin:/bin": false, "example.com/": false, "https://example.com/comet": false, "example.com/a b": false,
	} {
		if got := valid.MatchString(path); got != want {
			t.Errorf("%q: %v, want %v", path, got, want)
		}
	}
}

// copyTree copies the files of this tree that git would have.
func copyTree(t *testing.T) string {
	t.Helper()
	tree := t.TempDir()
	eachFile(t, root, func(name string, content []byte) {
		to := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	return tree
}

// eachFile calls f with the regular files below folder, by their path in it.
func eachFile(t *testing.T, folder string, f func(name string, content []byte)) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "bin" || entry.Name() == "node_modules"):
			return fs.SkipDir
		case !entry.Type().IsRegular() || entry.Name() == ".git":
			return nil
		}
		name, err := filepath.Rel(folder, path)
		if err == nil {
			f(name, []byte(read(t, path)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// command runs a program to its end and returns what it printed.
func command(t *testing.T, folder, name string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir = folder
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}
