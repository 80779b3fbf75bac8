package auth

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func mustOpen(t *testing.T, path string, r *Revocations) *RevocationFile {
	t.Helper()
	f, err := OpenRevocationFile(path, r)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRevocationFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "comet", "revocations")
	now := time.Now()
	f := mustOpen(t, path, NewRevocations(time.Hour, 10))
	for _, r := range []Revocation{{"alice", now}, {"b\n\"", now}, {"old", now.Add(-2 * time.Hour)}, {"", now.Add(-time.Minute)}} {
		if err := f.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	// A crash of the machine may leave the last line unfinished.
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString(`{"user": "carol", "bef`)
	}
	if err != nil {
		t.Fatal(err)
	}
	file.Close()

	r := NewRevocations(time.Hour, 10)
	mustOpen(t, path, r)
	for user, want := range map[string]bool{"alice": true, "b\n\"": true, "carol": false, "old": false} {
		if revoked(r, user, now.Add(-time.Second)) != want {
			t.Errorf("%q: not %v", user, want)
		}
	}
	if !revoked(r, "anybody", now.Add(-2*time.Minute)) {
		t.Error("the revocation of all users is forgotten")
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), "\n") != 3 || strings.Contains(string(text), "old") {
		t.Errorf("written again as %q, %v", text, err)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// The file does not grow for ever with users who are revoked again and again.
func TestRevocationFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	f := mustOpen(t, path, NewRevocations(time.Hour, 10))
	now := time.Now()
	f.lines = rewriteAfter - 10
	for i := range 30 {
		if err := f.Append(Revocation{fmt.Sprint("u", i%2), now.Add(time.Duration(i) * time.Millisecond)}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if n := strings.Count(string(text), "\n"); err != nil || n != 2+20 {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestRevocationFileThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRevocationFile(filepath.Join(file, "revocations"), NewRevocations(time.Hour, 10)); err == nil {
		t.Error("no error")
	}
}

// Without a revocation that still counts there is no file.
func TestRevocationFileGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	f := mustOpen(t, path, NewRevocations(time.Hour, 10))
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("at first: %v", err)
	}
	if err := f.Append(Revocation{"alice", time.Now().Add(-2 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path, NewRevocations(time.Hour, 10))
	if found, err := filepath.Glob(path + "*"); err != nil || len(found) > 0 {
		t.Errorf("left over: %v, %v", found, err)
	}
}
