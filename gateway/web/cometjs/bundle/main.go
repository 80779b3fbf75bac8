// Command bundle makes ../comet.js of the modules in ../src: one file without
// what only readers need. `go generate ./gateway/web/cometjs` runs it.
//
// It is a module of its own: building Comet does not download esbuild.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

const banner = "// Made by `go generate ./gateway/web/cometjs` of the modules in src: DO NOT EDIT. How to use it: docs/clients.md"

func main() {
	code, err := bundle(filepath.Join("..", "src"))
	if err == nil {
		err = os.WriteFile(filepath.Join("..", "comet.js"), code, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

// bundle is one ES module with what comet.js in dir exports. Private names
// become short; others stay, so nothing has to be known about their use.
func bundle(dir string) ([]byte, error) {
	result := api.Build(api.BuildOptions{
		EntryPoints:       []string{filepath.Join(dir, "comet.js")},
		Bundle:            true,
		Format:            api.FormatESModule,
		Target:            api.ES2022,
		MinifySyntax:      true,
		MinifyIdentifiers: true,
		MinifyWhitespace:  true,
		Banner:            map[string]string{"js": banner},
		LogLevel:          api.LogLevelSilent,
	})
	var mistakes []error
	for _, m := range append(result.Errors, result.Warnings...) {
		where := dir
		if m.Location != nil {
			where = fmt.Sprintf("%s:%d", m.Location.File, m.Location.Line)
		}
		mistakes = append(mistakes, fmt.Errorf("%s: %s", where, m.Text))
	}
	if mistakes != nil {
		return nil, errors.Join(mistakes...)
	}
	return result.OutputFiles[0].Contents, nil
}
