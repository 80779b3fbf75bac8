package servertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Volume is a folder of settings as Kubernetes mounts a ConfigMap: the file is a
// link through another link, which is swapped for each version.
type Volume struct {
	t       testing.TB
	folder  string
	version int
}

// NewVolume makes a volume with a file of that content.
func NewVolume(t testing.TB, content string) *Volume {
	t.Helper()
	v := &Volume{t: t, folder: t.TempDir()}
	v.Swap(content)
	v.must(os.Symlink(filepath.Join("..data", "comet.yaml"), v.File()))
	return v
}

// File is the path of the file.
func (v *Volume) File() string { return filepath.Join(v.folder, "comet.yaml") }

func (v *Volume) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// Swap makes content the next version.
func (v *Volume) Swap(content string) {
	v.t.Helper()
	old := fmt.Sprintf("..version-%d", v.version)
	v.version++
	next := fmt.Sprintf("..version-%d", v.version)
	v.must(os.Mkdir(filepath.Join(v.folder, next), 0o755))
	v.must(os.WriteFile(filepath.Join(v.folder, next, "comet.yaml"), []byte(content), 0o600))
	link := filepath.Join(v.folder, "..data")
	v.must(os.Symlink(next, link+"_tmp"))
	v.must(os.Rename(link+"_tmp", link))
	v.must(os.RemoveAll(filepath.Join(v.folder, old)))
}
