package house

import (
	"os"
	"regexp"
	"testing"
)

// named is a path of the tree in Markdown: `pubsub/hub.go`, `gateway/wire` or `README.md`.
var named = regexp.MustCompile("`((?:[\\w.-]+/)+[\\w.-]+|[\\w-]+\\.(?:go|lua|md))`")

// TestArchitecturePaths: docs/architecture.md names files and folders that exist.
func TestArchitecturePaths(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	paths := named.FindAllSubmatch(text, -1)
	if len(paths) < 20 {
		t.Fatalf("found only %d paths", len(paths))
	}
	for _, path := range paths {
		if _, err := os.Stat(root + string(path[1])); err != nil {
			t.Errorf("docs/architecture.md names %s, which does not exist", path[1])
		}
	}
}
