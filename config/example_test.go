package config

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// disabled is the line of a setting in the example.
var disabled = regexp.MustCompile(`(?m)^( *)#([a-z_]+:)`)

// TestExample loads the example as it is, with each setting enabled, and with all.
func TestExample(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := WriteExample(&b); err != nil {
		t.Fatal(err)
	}
	example := b.String()
	want := mustLoad(t, Source{}).Values()
	check := func(name, text string, set int) {
		t.Helper()
		got := mustLoad(t, Source{File: writeFile(t, name, text)}).Values()
		for i, v := range got {
			if v.Value != want[i].Value && v.Key != "node" {
				t.Errorf("%s: %s is %q, want the default %q", name, v.Key, v.Value, want[i].Value)
			}
			if v.Origin != originDefault {
				set--
			}
		}
		if set != 0 {
			t.Errorf("%s: %d settings of the file have no effect", name, set)
		}
	}
	lines := disabled.FindAllStringSubmatchIndex(example, -1)
	if len(lines) != len(table) {
		t.Fatalf("the example has %d settings, want %d", len(lines), len(table))
	}
	check("as-it-is.yaml", example, 0)
	for _, at := range lines {
		name := example[at[4] : at[5]-1]
		check(name+".yaml", example[:at[3]]+example[at[4]:], 1)
	}
	check("all.yaml", disabled.ReplaceAllString(example, "$1$2"), len(table))
	if long := slices.IndexFunc(strings.Split(example, "\n"), func(line string) bool { return len(line) > 200 }); long >= 0 {
		t.Errorf("line %d is too long", long+1)
	}
}
