package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

const date = "2026-11-22T10:00:00Z"

// TestImage makes an image of both platforms, unpacks it as a container
// runtime does, and runs what is in it.
func TestImage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the image is for Linux")
	}
	folder := t.TempDir()
	out := filepath.Join(folder, "comet.tar")
	args := []string{"-name", "docker.io/library/comet:1.2.3", "-version", "1.2.3", "-commit", "abc", "-date", date, "-out", out}
	for _, architecture := range []string{"amd64", "arm64"} {
		args = append(args, build(t, folder, architecture))
	}
	if err := run(args); err != nil {
		t.Fatal(err)
	}
	if size := fileSize(t, out); size > 2*25<<20 {
		t.Errorf("the image of two platforms has %d bytes, want at most 25 MiB each", size)
	}
	image := load(t, out, "docker.io/library/comet:1.2.3", runtime.GOARCH)
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c := config.Config; c.User != "65532:65532" || c.Entrypoint[0] != "/usr/local/bin/comet" || c.Labels["org.opencontainers.image.version"] != "1.2.3" {
		t.Errorf("config %+v", c)
	}
	files := unpack(t, image)
	if n := bytes.Count(files["etc/ssl/certs/ca-certificates.crt"], []byte("BEGIN CERTIFICATE")); n < 50 {
		t.Errorf("%d certificates", n)
	}
	binary := filepath.Join(folder, "unpacked")
	if err := os.WriteFile(binary, files["usr/local/bin/comet"], 0o700); err != nil {
		t.Fatal(err)
	}
	printed, err := exec.Command(binary, "version").CombinedOutput()
	if want := "comet 1.2.3 (abc, " + date + ") go"; err != nil || !strings.HasPrefix(string(printed), want) {
		t.Errorf("comet version: %q, %v; want %q", printed, err, want)
	}
	var sbom spdxDocument
	if content, err := os.ReadFile(out + ".spdx.json"); err != nil || json.Unmarshal(content, &sbom) != nil || len(sbom.Packages) < 10 {
		t.Errorf("SBOM with %d packages, %v", len(sbom.Packages), err)
	}
	again := out + ".again"
	if err := run(append([]string{"-out", again}, strip(args, "-out")...)); err != nil {
		t.Fatal(err)
	}
	if a, b := readFile(t, out), readFile(t, again); !bytes.Equal(a, b) {
		t.Error("the same binaries made another image")
	}
}

// TestNotStatic: such a program would not start.
func TestNotStatic(t *testing.T) {
	out := filepath.Join(t.TempDir(), "comet.tar")
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	if err := run([]string{"-name", "comet:1", "-out", out, shell}); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it wrote something: %v", err)
	}
}

// build is the path of a comet.
func build(t *testing.T, folder, architecture string) string {
	t.Helper()
	path := filepath.Join(folder, architecture, "comet")
	c := exec.Command("go", "build", "-trimpath", "-o", path, "-ldflags", "-s -w -X main.version=1.2.3 -X main.commit=abc -X main.date="+date, "./cmd/comet")
	c.Dir = filepath.Join("..", "..")
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
	if output, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return path
}

// load is the image of one platform in a tarball, found by its name.
func load(t *testing.T, path, name, architecture string) v1.Image {
	t.Helper()
	folder := t.TempDir()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, file := range untar(t, f) {
		target := filepath.Join(folder, filepath.FromSlash(file.path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o700), os.WriteFile(target, file.content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 || manifest.Manifests[0].Annotations["io.containerd.image.name"] != name {
		t.Fatalf("index %+v, %v", manifest, err)
	}
	inner, err := index.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	platforms, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range platforms.Manifests {
		if m.Platform.Architecture == architecture {
			image, err := inner.Image(m.Digest)
			if err != nil {
				t.Fatal(err)
			}
			return image
		}
	}
	t.Fatalf("there is no image for %s", architecture)
	return nil
}

// unpack is the files that a container sees.
func unpack(t *testing.T, image v1.Image) map[string][]byte {
	t.Helper()
	stream := mutate.Extract(image)
	defer stream.Close()
	files := make(map[string][]byte)
	for _, f := range untar(t, stream) {
		files[f.path] = f.content
	}
	return files
}

func untar(t *testing.T, r io.Reader) (files []file) {
	t.Helper()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return files
		}
		content, readErr := io.ReadAll(tr)
		if err := errors.Join(err, readErr); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			files = append(files, file{h.Name, h.Mode, content})
		}
	}
}

// strip is args without a flag and its value.
func strip(args []string, flag string) (rest []string) {
	for i := 0; i < len(args); i++ {
		if args[i] == flag {
			i++
			continue
		}
		rest = append(rest, args[i])
	}
	return rest
}

func fileSize(t *testing.T, path string) int { return len(readFile(t, path)) }

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
