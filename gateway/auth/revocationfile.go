package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// RevocationFile keeps revocations across restarts of a node that has no log
// which outlives it. It has one JSON object a line:
//
//	{"user": "alice", "before_ms": 1795340000000}
//
// before_ms is Unix time; without a user it is for every user. Append may be
// called concurrently. One process at a time may use the file.
type RevocationFile struct {
	path string
	kept *Revocations // what is in the file; a node learns it a moment later

	mu    sync.Mutex
	lines int // appended since the file was written whole
}

// revocationLine is a line of the file.
type revocationLine struct {
	User     string `json:"user,omitempty"`
	BeforeMS int64  `json:"before_ms"`
}

// OpenRevocationFile reads the file at path into r and writes it again without
// what is no longer needed. It makes its folder, and there is a file only while
// there are revocations. Lines that cannot be read, as the last one after a crash of the machine,
// are left out. Nothing stays open.
func OpenRevocationFile(path string, r *Revocations) (*RevocationFile, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f := &RevocationFile{path: path, kept: NewRevocations(r.life, r.limit)}
	for line := range bytes.Lines(text) {
		var l revocationLine
		if json.Unmarshal(line, &l) == nil {
			f.kept.add(Revocation{l.User, time.UnixMilli(l.BeforeMS)})
		}
	}
	for _, one := range f.kept.All() {
		r.add(one)
	}
	if err := f.rewrite(); err != nil {
		return nil, err
	}
	return f, nil
}

// rewriteAfter is how many lines are appended before the file is written again
// without those that are no longer needed.
const rewriteAfter = 10_000

// Append returns once the revocation is on disk.
func (f *RevocationFile) Append(r Revocation) error {
	line, err := json.Marshal(revocationLine{r.User, r.Before.UnixMilli()})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lines >= rewriteAfter {
		if err := f.rewrite(); err != nil {
			return err
		}
	}
	f.kept.add(r)
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	err = errors.Join(err, file.Sync(), file.Close())
	f.lines++
	if err != nil {
		f.lines = rewriteAfter // it may end within a line
	}
	return err
}

// rewrite replaces the file by what must be kept; without any there is none. It needs mu, or to be alone.
func (f *RevocationFile) rewrite() error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	for _, r := range f.kept.All() {
		if err := encoder.Encode(revocationLine{r.User, r.Before.UnixMilli()}); err != nil {
			return err
		}
	}
	next, err := os.CreateTemp(filepath.Dir(f.path), filepath.Base(f.path)+".*")
	if err != nil {
		return err
	}
	_, err = next.Write(text.Bytes())
	err = errors.Join(err, next.Sync(), next.Close())
	switch {
	case err != nil:
		return errors.Join(fmt.Errorf("write %s: %w", f.path, err), os.Remove(next.Name()))
	case text.Len() > 0:
		err = os.Rename(next.Name(), f.path)
	default: // that it can be written is known now
		err = os.Remove(next.Name())
		if gone := os.Remove(f.path); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	f.lines = 0
	return err
}
