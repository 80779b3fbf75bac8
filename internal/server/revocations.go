package server

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"comet/config"
	"comet/gateway/admit"
	"comet/gateway/auth"
)

// revocationsKept is how many revoked users a node remembers one by one.
const revocationsKept = 100_000

// openRevocations reads the file that keeps the revocations of a node without
// Redis into r. The store is nil where there is none: with Redis, without
// tokens, and where the settings say so.
func openRevocations(s *config.Settings, r *auth.Revocations, logger *slog.Logger) (admit.RevocationStore, error) {
	path := s.Auth.RevocationsFile
	if path == "" || len(s.Redis.Addresses) > 0 || len(s.Auth.JWT.Algorithms) == 0 {
		return nil, nil
	}
	if path != config.AutoFile {
		f, err := auth.OpenRevocationFile(path, r)
		if err != nil {
			return nil, fmt.Errorf("auth.revocations_file: %w", err)
		}
		return f, nil
	}
	path, err := autoRevocationsFile(s.HTTP.Listen)
	if err == nil && path == "" {
		return nil, nil
	}
	var f *auth.RevocationFile
	if err == nil {
		f, err = auth.OpenRevocationFile(path, r)
	}
	if err != nil {
		logger.Warn("revocations are in memory only; a restart loses them", "setting", "auth.revocations_file", "error", err)
		return nil, nil
	}
	return f, nil
}

// autoRevocationsFile is the file of the node that listens at an address: the
// nodes without Redis on one machine know nothing of each other. It is empty for
// a port that changes with every start.
func autoRevocationsFile(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "0" {
		return "", err
	}
	folder := filepath.SplitList(os.Getenv("STATE_DIRECTORY")) // of systemd, perhaps several
	if len(folder) == 0 {
		state := os.Getenv("XDG_STATE_HOME")
		if !filepath.IsAbs(state) {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", errors.New("no folder for state: set STATE_DIRECTORY, XDG_STATE_HOME or HOME")
			}
			state = filepath.Join(home, ".local", "state")
		}
		folder = []string{filepath.Join(state, "comet")}
	}
	name := strings.NewReplacer(":", "-", "%", "-").Replace(cmp.Or(host, "any")) + "-" + port
	return filepath.Join(folder[0], "revocations-"+name+".jsonl"), nil
}
