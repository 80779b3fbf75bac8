// Command image packs the comet binaries of several platforms into one OCI
// image, as a tarball that `ctr image import`, `kind load image-archive`,
// `docker load` and `podman load` take. It needs no daemon, no registry and no
// base image: a static binary needs just certificates, and a user that is not
// root.
//
//	image -name docker.io/library/comet:0.1.0 -out comet.tar amd64/comet arm64/comet
package main

import (
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var o options
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&o.name, "name", "", "full name of the image with its tag")
	flags.StringVar(&o.version, "version", "", "of the program")
	flags.StringVar(&o.commit, "commit", "", "that it was built from")
	flags.Func("date", "of the commit, RFC 3339; the image has it too, so that it can be built again", func(text string) (err error) {
		o.date, err = time.Parse(time.RFC3339, text)
		return err
	})
	out := flags.String("out", "", "file to write; its SBOM goes beside it, with .spdx.json added")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.name == "" || *out == "" || flags.NArg() == 0 {
		return errors.New("give -name, -out and the binaries")
	}
	for _, path := range flags.Args() {
		b, err := readBinary(path)
		if err != nil {
			return err
		}
		o.binaries = append(o.binaries, b)
	}
	if err := writeFile(*out, o.writeImage); err != nil {
		return err
	}
	return writeFile(*out+".spdx.json", o.writeSBOM)
}

// options is what an image is made of.
type options struct {
	name, version, commit string
	date                  time.Time
	binaries              []binary
}

// binary is the program for one platform.
type binary struct {
	content      []byte
	architecture string // as GOARCH has it
	built        *buildinfo.BuildInfo
}

// readBinary refuses what would not run in an image that has nothing else.
func readBinary(path string) (b binary, err error) {
	if b.content, err = os.ReadFile(path); err != nil {
		return b, err
	}
	if b.built, err = buildinfo.ReadFile(path); err != nil {
		return b, err
	}
	for _, s := range b.built.Settings {
		switch {
		case s.Key == "GOARCH":
			b.architecture = s.Value
		case s.Key == "GOOS" && s.Value != "linux":
			return b, fmt.Errorf("%s is for %s: build it with GOOS=linux", path, s.Value)
		}
	}
	program, err := elf.Open(path)
	if err != nil {
		return b, fmt.Errorf("%s: %w", path, err)
	}
	defer program.Close()
	if libraries, err := program.ImportedLibraries(); err != nil || len(libraries) > 0 {
		return b, errors.Join(fmt.Errorf("%s needs libraries (%v): build it with CGO_ENABLED=0", path, libraries), err)
	}
	return b, nil
}

// writeFile writes a file whole or not at all.
func writeFile(path string, write func(*os.File) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
