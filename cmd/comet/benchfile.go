package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

// Flags name the files for results: empty for no file, - for the standard
// output. A file is written whole or not at all: to a temporary file in the same
// folder, which is then renamed.

// canWrite checks, before a long run, that writeWhole can write its results to
// path.
func canWrite(flag, path string) error {
	if path == "" || path == "-" || isDevice(path) {
		return nil
	}
	beside, err := createBeside(path)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return errors.Join(beside.Close(), os.Remove(beside.Name()))
}

// writeWhole calls write with a writer to the file at path.
func writeWhole(cmd *cobra.Command, flag, path string, write func(io.Writer) error) error {
	var err error
	switch {
	case path == "":
	case path == "-":
		err = write(cmd.OutOrStdout())
	case isDevice(path):
		var f *os.File
		if f, err = os.OpenFile(path, os.O_WRONLY, 0); err == nil {
			err = errors.Join(write(f), f.Close())
		}
	default:
		err = replace(path, write)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}

// isDevice reports whether path is a device or a pipe, like /dev/stdout, which a
// rename must not replace.
func isDevice(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

func replace(path string, write func(io.Writer) error) error {
	beside, err := createBeside(path)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriter(beside)
	if err = errors.Join(write(buffer), buffer.Flush(), beside.Close()); err == nil {
		err = os.Rename(beside.Name(), target(path))
	}
	if err != nil {
		return errors.Join(err, os.Remove(beside.Name()))
	}
	return nil
}

// createBeside creates a file that can be renamed to path.
func createBeside(path string) (*os.File, error) {
	path = target(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, &os.PathError{Op: "write", Path: path, Err: syscall.EISDIR}
	}
	folder, name := filepath.Split(path)
	return os.OpenFile(fmt.Sprintf("%s.%s.%d", folder, name, os.Getpid()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

// target returns the file that a symbolic link points to, so that the link stays.
func target(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
