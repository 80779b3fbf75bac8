package config

import (
	"os"
	"runtime"
	"strings"
)

// Exposure is a file with a secret that every user of the machine can read.
type Exposure struct {
	Key  string // the setting that names the file, or a secret in the file of settings
	Path string
}

// Exposures checks the permissions of the files that hold secrets: files that
// settings name, and the file of settings if it holds secrets. It skips files that
// it cannot stat. On Windows, which has other permissions, it returns nothing.
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

// secretInFile returns the first secret setting that came from the file of
// settings, or "".
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
