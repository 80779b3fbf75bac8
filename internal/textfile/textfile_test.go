package textfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ content, want, fails string }{
		{"secret\n", "secret\n", ""},
		{"\xef\xbb\xbfsecret\n", "secret\n", ""},
		{"\xef\xbb\xbf\xef\xbb\xbfsecret", "\xef\xbb\xbfsecret", ""}, // only the first one is a mark
		{"", "", ""},
		{"\xff\xfes\x00", "", "UTF-16"},
		{"\xfe\xff\x00s", "", "UTF-16"},
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if string(got) != test.want || (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%q: got %q, %v", test.content, got, err)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "absent")); !os.IsNotExist(err) {
		t.Errorf("absent: %v", err)
	}
}
