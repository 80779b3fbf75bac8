package config

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

func TestExposures(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other permissions")
	}
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		return path
	}
	open, group, own := file("open", "s", 0o644), file("group", "s", 0o640), file("own", "s", 0o600)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(open, link); err != nil {
		t.Fatal(err)
	}
	environ := func(name, value string) Source { return Source{Environ: []string{name + "=" + value}} }
	for name, test := range map[string]struct {
		src  Source
		want []Exposure
	}{
		"nothing": {Source{}, nil},
		"open":    {environ("COMET_AUTH_KEYS_FILE", open), []Exposure{{"auth.keys_file", open}}},
		"a link":  {environ("COMET_AUTH_KEYS_FILE", link), []Exposure{{"auth.keys_file", link}}},
		"group":   {environ("COMET_AUTH_KEYS_FILE", group), nil},
		"own":     {environ("COMET_AUTH_KEYS_FILE", own), nil},
		"gone":    {environ("COMET_AUTH_KEYS_FILE", filepath.Join(dir, "gone")), nil},
		"several": {Source{Environ: []string{
			"COMET_AUTH_JWT_ALGORITHMS=HS256", "COMET_AUTH_JWT_SECRET_FILE=" + open, "COMET_HTTP_TLS_KEY=" + open, "COMET_HTTP_TLS_CERT=" + open,
			"COMET_EVENTS_URL=https://a.example/", "COMET_EVENTS_SECRET_FILE=" + own, "COMET_AUTH_HOOK_URL=https://a.example/", "COMET_AUTH_HOOK_SECRET_FILE=" + link,
			"COMET_REDIS_ADDRESSES=r:1", "COMET_REDIS_PASSWORD_FILE=" + open,
		}}, []Exposure{{"http.tls.key", open}, {"redis.password_file", open}, {"auth.jwt.secret_file", open}, {"auth.hook.secret_file", link}}},
		"settings without a secret": {Source{File: file("plain.yaml", "node: n", 0o644)}, nil},
		"settings with one":         {Source{File: file("secret.yaml", "admin: {token: t}", 0o644)}, []Exposure{{"admin.token", filepath.Join(dir, "secret.yaml")}}},
		"settings of our own":       {Source{File: file("own.yaml", "admin: {token: t}", 0o600)}, nil},
	} {
		if got := mustLoad(t, test.src).Exposures(); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}
