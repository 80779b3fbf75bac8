package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows lists the packages of this module that a package may import; test files
// may import more. The row with the longest prefix of the package's name counts.
var arrows = map[string][]string{
	"comet/bench":                   {},
	"comet/bench/comparison":        {"comet/bench", "comet/gateway/wire", "comet/pubsub"},
	"comet/bench/report":            {"comet/bench", "comet/gateway/web/browsertest", "comet/gateway/web/uplot"},
	"comet/client":                  {"comet/gateway/wire", "comet/pubsub"},
	"comet/cmd":                     {"comet/..."},
	"comet/config":                  {"comet/internal/chanpattern", "comet/internal/textfile"},
	"comet/gateway":                 {"comet/gateway/...", "comet/internal/httpurl", "comet/internal/metrics", "comet/pubsub"},
	"comet/gateway/admit":           {"comet/gateway/auth", "comet/gateway/conn", "comet/gateway/hook", "comet/gateway/limit", "comet/gateway/trace", "comet/internal/metrics", "comet/pubsub"},
	"comet/gateway/bayeux":          {"comet/gateway/admit", "comet/gateway/auth", "comet/gateway/conn", "comet/gateway/hook", "comet/gateway/wire", "comet/pubsub"},
	"comet/gateway/auth":            {"comet/internal/chanpattern", "comet/internal/httpurl", "comet/internal/textfile", "comet/pubsub"},
	"comet/gateway/wire":            {"comet/pubsub"},
	"comet/gateway/conn":            {"comet/gateway/deflate", "comet/gateway/wire", "comet/internal/metrics", "comet/pubsub"},
	"comet/gateway/deflate":         {},
	"comet/gateway/trace":           {},
	"comet/gateway/web":             {"comet/gateway/web/uplot"},
	"comet/gateway/web/browsertest": {"comet/internal/testenv"},
	"comet/internal":                {"comet/internal/testenv"},
	"comet/internal/server":         {"comet/config", "comet/gateway/...", "comet/internal/metrics", "comet/internal/otlp", "comet/internal/textfile", "comet/pubsub/..."},
	"comet/internal/servertest":     {"comet/gateway/auth", "comet/gateway/wire", "comet/internal/testenv", "comet/pubsub"},
	"comet/internal/metrics":        {},
	"comet/internal/textfile":       {},
	"comet/pubsub":                  {"comet/internal/chanpattern", "comet/internal/metrics"},
	"comet/pubsub/cluster":          {"comet/pubsub"},
	"comet/pubsub/membroker":        {"comet/pubsub"},
	"comet/pubsub/redisbroker":      {"comet/internal/metrics", "comet/pubsub"},
	"comet/pubsub/pubsubtest":       {"comet/internal/testenv", "comet/pubsub"},
	"comet/pubsub/redistest":        {"comet/internal/testenv"},
}

func TestArrows(t *testing.T) {
	t.Parallel()
	for name, p := range packagesOf(t) {
		row, ok := rowOf(name)
		if !ok {
			t.Errorf("%s: say in arrows what it may import", name)
		}
		for _, imported := range slices.Sorted(maps.Keys(p.imports)) {
			if !slices.ContainsFunc(arrows[row], func(pattern string) bool { return matches(pattern, imported) }) {
				t.Errorf("%s imports %s, which points the wrong way", name, imported)
			}
		}
	}
}

// TestNoTemplates keeps text/template and html/template out of the binary. They
// call methods by names that only a run knows, so the linker would keep every
// method of every type: 13 MB, most of it go-redis'.
func TestNoTemplates(t *testing.T) {
	t.Parallel()
	for name, p := range packagesOf(t) {
		if p.templates {
			t.Errorf("%s imports a template package", name)
		}
	}
}

func TestPackageComments(t *testing.T) {
	t.Parallel()
	for name, p := range packagesOf(t) {
		if p.comments != 1 {
			t.Errorf("%s has %d package comments, want 1", name, p.comments)
		}
	}
}

// rowOf returns the row of arrows for a package.
func rowOf(name string) (row string, ok bool) {
	for row = name; row != "."; row = path.Dir(row) {
		if _, ok := arrows[row]; ok {
			return row, true
		}
	}
	return "", false
}

func matches(pattern, name string) bool {
	tree, isTree := strings.CutSuffix(pattern, "/...")
	return name == pattern || isTree && (name == tree || strings.HasPrefix(name, tree+"/"))
}

// module is the module's folder.
var module = filepath.Join("..", "..")

// source describes the files of a package, without its tests.
type source struct {
	imports   map[string]bool // of this module
	templates bool            // it imports text/template or html/template
	comments  int             // package comments
}

// packagesOf returns every package of the module, by import path.
func packagesOf(t *testing.T) map[string]*source {
	t.Helper()
	packages := make(map[string]*source)
	modulePath := regexp.MustCompile(`(?m)^module (\S+)$`).FindStringSubmatch(readFile(t, filepath.Join(module, "go.mod")))[1]
	err := filepath.WalkDir(module, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && file != module || entry.Name() == "testdata"):
			return fs.SkipDir
		case entry.IsDir() && file != module && isModule(file):
			return fs.SkipDir // another module
		case !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		relative, err := filepath.Rel(module, filepath.Dir(file))
		if err != nil {
			return err
		}
		name := path.Join(modulePath, filepath.ToSlash(relative))
		if packages[name] == nil {
			packages[name] = &source{imports: make(map[string]bool)}
		}
		return packages[name].add(file, modulePath)
	})
	if err != nil {
		t.Fatal(err)
	}
	if packages["comet/cmd/comet"] == nil {
		t.Fatalf("the walk did not find this package, but %v", slices.Sorted(maps.Keys(packages)))
	}
	return packages
}

func isModule(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}

func (s *source) add(name, modulePath string) error {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return err
	}
	if file.Doc != nil {
		s.comments++
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(imported, modulePath+"/"):
			s.imports[imported] = true
		case strings.HasSuffix(imported, "/template"):
			s.templates = true
		}
	}
	return nil
}
