// Command bundle makes comet.js of the modules in src: one file without what
// only readers need. `go generate ./gateway/web/cometjs` runs it.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

const banner = "// Made by `go generate ./gateway/web/cometjs` of the modules in src: DO NOT EDIT. How to use it: docs/clients.md"

func main() {
	code, err := bundle("src")
	if err == nil {
		err = os.WriteFile("comet.js", code, 0o644)
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
	for _, m := range append(result.Errors, result.Warnings...) {
		if m.Location == nil {
			return nil, fmt.Errorf("%s", m.Text)
		}
		return nil, fmt.Errorf("%s:%d: %s", m.Location.File, m.Location.Line, m.Text)
	}
	return result.OutputFiles[0].Contents, nil
}
