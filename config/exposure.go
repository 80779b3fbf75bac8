package config

import (
	"os"
	"runtime"
	"strings"
)

// Exposure is a file with a secret that every user of the machine can read.
type Exposure struct {
	Key  string // the setting that names the file, or that has its secret there
	Path string
}

// Exposures looks at the permissions of the files that hold secrets: those that
// settings name, and the file of settings itself if it has some. A file that
// cannot be looked at is none, nor is any on Windows, which has other permissions.
func (l *Loaded) Exposures() (found []Exposure) {
	if runtime.GOOS == "windows" {
		return nil
	}
	for _, one := range []Exposure{
		{"http.tls.key", l.HTTP.TLS.Key},
		{"redis.password_file", l.Redis.PasswordFile},
		{"auth.keys_file", l.Auth.KeysFile},
		{"auth.jwt.secret_file", l.Auth.JWT.SecretFile},
		{"auth.hook.secret_file", l.Auth.Hook.SecretFile},
		{"events.secret_file", l.Events.SecretFile},
		{l.secretInFile(), l.file},
	} {
		if one.Key != "" && one.Path != "" && readableByAll(one.Path) {
			found = append(found, one)
		}
	}
	return found
}

// secretInFile is the first setting that is a secret and came from the file of
// settings; empty: none.
func (l *Loaded) secretInFile() string {
	for _, s := range table {
		if s.Secret && l.file != "" && strings.HasPrefix(l.origins[s.Key], l.file+":") {
			return s.Key
		}
	}
	return ""
}

func readableByAll(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o004 != 0
}
