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

// RevocationFile keeps revocations across restarts of a node without Redis. It has
// one JSON object per line:
//
//	{"user": "alice", "before_ms": 1795340000000}
//
// before_ms is Unix time. A line without a user applies to every user. Append may be
// called concurrently. Only one process may use the file.
type RevocationFile struct {
	path string
	kept *Revocations // the content of the file, which may be ahead of the node

	mu    sync.Mutex
	lines int // appended since the last rewrite
}

// revocationLine is a line of the file.
type revocationLine struct {
	User     string `json:"user,omitempty"`
	BeforeMS int64  `json:"before_ms"`
}

// OpenRevocationFile reads the file at path into r and rewrites it without expired
// revocations. It creates the folder. The file exists only while there are
// revocations. Lines that cannot be parsed, such as the last one after a crash of the
// machine, are dropped. The file does not stay open.
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

// rewriteAfter is how many lines are appended before the file is rewritten without
// expired ones.
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
		f.lines = rewriteAfter // rewrite it: its last line may be incomplete
	}
	return err
}

// rewrite replaces the file with the revocations to keep, and removes it if there are
// none. The caller holds mu, or is the only one.
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
	default: // the temporary file has shown that the folder is writable
		err = os.Remove(next.Name())
		if gone := os.Remove(f.path); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	f.lines = 0
	return err
}
