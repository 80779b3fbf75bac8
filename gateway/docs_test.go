package gateway_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/protocol.md lists every kind of problem and every reason of a goodbye.
func TestDocsListAll(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	docs := read("../docs/protocol.md")
	for file, pattern := range map[string]string{
		"problem.go":      `kind\{\d+, "([a-z-]+)"`,
		"auth/errors.go":  `Reason += "([a-z-]+)"`,
		"conn/session.go": `CloseReason += "([a-z-]+)"`,
	} {
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(read(file), -1)
		if len(found) < 4 {
			t.Errorf("%s: found only %q", file, found)
		}
		for _, name := range found {
			if name[1] == "gone" { // the client went, and is told nothing
				continue
			}
			if word := "`" + name[1] + "`"; !strings.Contains(docs, word) && !strings.Contains(docs, "`credential-"+name[1]+"`") {
				t.Errorf("%s of %s is not in docs/protocol.md", word, file)
			}
		}
	}
}
