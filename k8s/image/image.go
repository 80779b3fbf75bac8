package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// userID is the number of the process's user and group, as in other images without root.
const userID = "65532"

const program = "usr/local/bin/comet"

// writeImage writes the OCI layout as a tarball.
func (o *options) writeImage(out *os.File) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range o.binaries {
		image, err := o.image(b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.architecture, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: b.architecture}},
		})
	}
	folder, err := os.MkdirTemp("", "comet-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	path, err := layout.Write(folder, mutate.IndexMediaType(empty.Index, types.OCIImageIndex))
	if err != nil {
		return err
	}
	// The name of the loaded image: containerd reads the first annotation, other
	// tools read the second.
	names := map[string]string{"io.containerd.image.name": o.name, "org.opencontainers.image.ref.name": o.name}
	if err := path.AppendIndex(index, layout.WithAnnotations(names)); err != nil {
		return err
	}
	return o.pack(out, os.DirFS(folder))
}

// image is that of one platform.
func (o *options) image(b binary) (v1.Image, error) {
	var layers []v1.Layer
	for _, files := range [][]file{
		{
			{"etc/passwd", 0o644, []byte("nobody:x:" + userID + ":" + userID + ":nobody:/:/sbin/nologin\n")},
			{"etc/group", 0o644, []byte("nobody:x:" + userID + ":\n")},
			{"etc/ssl/certs/ca-certificates.crt", 0o644, certificates()},
		},
		{{program, 0o755, b.content}},
	} {
		content, err := o.tar(files)
		if err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
			tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	image, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), layers...)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", b.architecture, v1.Time{Time: o.date}
	config.Config = v1.Config{
		User:         userID + ":" + userID,
		Entrypoint:   []string{"/" + program},
		Cmd:          []string{"serve"},
		Env:          []string{"PATH=/usr/local/bin"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}, "9090/tcp": {}},
		Labels:       o.labels(),
	}
	return mutate.ConfigFile(image, config)
}

// labels are those of the OCI image specification.
func (o *options) labels() map[string]string {
	const prefix = "org.opencontainers.image."
	return map[string]string{
		prefix + "title":       "Comet",
		prefix + "description": "Push messages to browsers and programs over plain HTTP",
		prefix + "licenses":    "Apache-2.0",
		prefix + "version":     o.version,
		prefix + "revision":    o.commit,
		prefix + "created":     o.date.Format("2006-01-02T15:04:05Z07:00"),
	}
}

// certificates is what Mozilla trusts, for JWKS and hooks over https.
func certificates() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil { // one that counts for some certificates alone cannot be written here
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Buffer takes everything
		}
	}
	return text.Bytes()
}

type file struct {
	path    string
	mode    int64
	content []byte
}

// tar is files with their folders, all with the date of the commit.
func (o *options) tar(files []file) ([]byte, error) {
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	made := map[string]bool{".": true}
	for _, f := range files {
		if err := o.folders(w, filepath.Dir(f.path), made); err != nil {
			return nil, err
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.path, Mode: f.mode, Size: int64(len(f.content)), ModTime: o.date}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return content.Bytes(), err
}

// folders writes path and what is above, once.
func (o *options) folders(w *tar.Writer, path string, made map[string]bool) error {
	if made[path] {
		return nil
	}
	made[path] = true
	if err := o.folders(w, filepath.Dir(path), made); err != nil {
		return err
	}
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: path + "/", Mode: 0o755, ModTime: o.date})
}

// pack writes the files of folder as a tarball, in the order of their names.
func (o *options) pack(out io.Writer, folder fs.FS) error {
	w := tar.NewWriter(out)
	err := fs.WalkDir(folder, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(folder, path)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o644, Size: int64(len(content)), ModTime: o.date}); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	return w.Close()
}
