// Command modulepath gives the module in the working directory another path:
// `make module PATH=example.com/you/comet`. It rewrites go.mod, the imports, and
// what docs and scripts say, in this module and in those below it.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "modulepath:", err)
		os.Exit(1)
	}
}

// valid is a path that other modules can require: its first element has a dot, as
// the name of a host has.
var valid = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+(/[A-Za-z0-9][A-Za-z0-9._~-]*)*$`)

func run(args []string) error {
	if len(args) != 1 || !valid.MatchString(args[0]) {
		return errors.New("want one path that begins with a host, as in: make module PATH=example.com/you/comet")
	}
	old, err := modulePath("go.mod")
	if err != nil {
		return err
	}
	r, err := newRewriter(old, args[0])
	if err != nil {
		return err
	}
	changed := 0
	err = filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "node_modules"}, entry.Name()):
			return fs.SkipDir
		case !entry.Type().IsRegular() || !isText(name):
			return nil
		}
		did, err := r.file(name)
		if did {
			changed++
		}
		return err
	})
	if err == nil {
		fmt.Printf("The module is %s now (it was %s): %d files changed.\n", args[0], old, changed)
	}
	return err
}

// modulePath returns the path that a go.mod declares.
func modulePath(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`(?m)^module (\S+)$`).FindSubmatch(content)
	if found == nil {
		return "", fmt.Errorf("%s declares no module", file)
	}
	return string(found[1]), nil
}

// isText reports whether a file may name packages.
func isText(name string) bool {
	switch filepath.Ext(name) {
	case ".go", ".mod", ".md", ".yml", ".yaml", ".sh", ".js", ".lua", ".json", ".svg":
		return true
	}
	return filepath.Base(name) == "Makefile"
}

// rewriter replaces one module path by another.
type rewriter struct {
	path     string
	packages *regexp.Regexp // a package or folder of the module, by its full path
	commands *regexp.Regexp // the module itself, in go.mod and in commands
}

// newRewriter looks in the working directory for the folders that paths of packages
// begin with, so that other words before a slash are left alone.
func newRewriter(old, path string) (*rewriter, error) {
	entries, err := os.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			folders = append(folders, regexp.QuoteMeta(e.Name()))
		}
	}
	quoted := regexp.QuoteMeta(old)
	return &rewriter{
		path:     path,
		packages: regexp.MustCompile(`(^|[^\w./-])` + quoted + `(/(?:(?:` + strings.Join(folders, "|") + `)\b|\.\.\.))`),
		commands: regexp.MustCompile(`(?m)(^module |-replace |-require )` + quoted + `($|[=@])`),
	}, nil
}

// file rewrites a file, and reports whether it changed.
func (r *rewriter) file(name string) (changed bool, err error) {
	before, err := os.ReadFile(name)
	if err != nil {
		return false, err
	}
	after := r.packages.ReplaceAll(before, []byte("${1}"+r.path+"${2}"))
	after = r.commands.ReplaceAll(after, []byte("${1}"+r.path+"${2}"))
	if bytes.Equal(before, after) {
		return false, nil
	}
	if filepath.Ext(name) == ".go" { // imports are sorted, and tables aligned
		if after, err = format.Source(after); err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		return false, err
	}
	return true, os.WriteFile(name, after, info.Mode().Perm())
}
