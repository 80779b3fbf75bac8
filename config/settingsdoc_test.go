package config

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "with -run TestSettingsDoc: write the table of docs/settings.md")

// TestSettingsDoc compares the table of docs/settings.md with the settings.
func TestSettingsDoc(t *testing.T) {
	const file, begin, end = "../docs/settings.md", "<!-- settings -->\n", "<!-- /settings -->"
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(doc), begin)
	table, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("%s has no table between %q and %q", file, begin, end)
	}
	want := MarkdownTable()
	if table == want {
		return
	}
	if !*update {
		t.Fatalf("the table of %s is not that of config/table.go; run `go test ./config -run TestSettingsDoc -update`", file)
	}
	if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
