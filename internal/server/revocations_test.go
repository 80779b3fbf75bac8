package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"comet/config"
	"comet/gateway/auth"
)

func TestOpenRevocations(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("STATE_DIRECTORY", dir+string(os.PathListSeparator)+"/nowhere")
	settings := func(change func(*config.Settings)) *config.Settings {
		s := &config.Settings{
			HTTP: config.HTTP{Listen: "[::1]:8080"},
			Auth: config.Auth{RevocationsFile: config.AutoFile, JWT: config.JWT{Algorithms: []string{"HS256"}}},
		}
		change(s)
		return s
	}
	for name, test := range map[string]struct {
		s    *config.Settings
		want string // empty: none
	}{
		"auto":          {settings(func(*config.Settings) {}), "revocations---1-8080.jsonl"},
		"any interface": {settings(func(s *config.Settings) { s.HTTP.Listen = ":8080" }), "revocations-any-8080.jsonl"},
		"any port":      {settings(func(s *config.Settings) { s.HTTP.Listen = "127.0.0.1:0" }), ""},
		"off":           {settings(func(s *config.Settings) { s.Auth.RevocationsFile = "" }), ""},
		"no tokens":     {settings(func(s *config.Settings) { s.Auth.JWT.Algorithms = nil }), ""},
		"Redis":         {settings(func(s *config.Settings) { s.Redis.Addresses = []string{"r:1"} }), ""},
	} {
		store, err := openRevocations(test.s, auth.NewRevocations(time.Hour, 10), slog.New(slog.DiscardHandler))
		if err != nil || (store != nil) != (test.want != "") {
			t.Errorf("%s: %v, %v", name, store, err)
		}
		if store == nil {
			continue
		}
		path := filepath.Join(dir, test.want)
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: there is a file without a revocation", name)
		}
		if err := store.Append(auth.Revocation{User: "alice", Before: time.Now()}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
