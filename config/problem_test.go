package config

import (
	"errors"
	"strings"
	"testing"
)

// redis is an address, which every other redis.* setting needs.
const redis = "COMET_REDIS_ADDRESSES=r:1"

func TestProblemsOfValues(t *testing.T) {
	const elsewhere = "environment"
	for _, tt := range []struct {
		environ string // separated by spaces
		key     string
		message string // a part of it
	}{
		{"COMET_HTTP_HEARTBEAT=25", "http.heartbeat", "needs a unit (ms, s, m or h), as in 25s"},
		{"COMET_HTTP_HEARTBEAT=1.5", "http.heartbeat", "needs a unit"},
		{"COMET_HTTP_HEARTBEAT=25seconds", "http.heartbeat", "is not a duration"},
		{"COMET_HTTP_HEARTBEAT=999ms", "http.heartbeat", "is out of range: write 1s to 10m"},
		{"COMET_HTTP_HEARTBEAT=-25s", "http.heartbeat", "is out of range"},
		{"COMET_HISTORY_TTL=8761h", "history.ttl", "is out of range: write 1s to 8760h"},
		{"COMET_LIMITS_WAIT=11m", "limits.wait", "is out of range: write 0s to 10m"},
		{"COMET_HISTORY_SIZE=0", "history.size", "is out of range: write 1 to 1000000"},
		{"COMET_HISTORY_SIZE=99999999999999999999", "history.size", "is out of range: write 1 to 1000000"},
		{"COMET_HISTORY_SIZE=1k", "history.size", "is not a whole number"},
		{"COMET_LIMITS_CHANNELS=257", "limits.channels", "is out of range: write 1 to 256"},
		{"COMET_LIMITS_MESSAGE=64kb/s", "limits.message", "is not a size: write bytes as a whole number"},
		{"COMET_LIMITS_MESSAGE=2MiB", "limits.message", "is out of range: write 1B to 1MiB"},
		{"COMET_LIMITS_MESSAGE=0", "limits.message", "is out of range"},
		{"COMET_LOG_LEVEL=loud", "log.level", "must be one of debug, info, warn, error"},
		{"COMET_LOG_FORMAT=xml", "log.format", "must be one of text, json"},
		{"COMET_TRACING_SAMPLE=2", "tracing.sample", "is not a share: write a number from 0 to 1"},
		{"COMET_TRACING_SAMPLE=NaN", "tracing.sample", "is not a share: write a number from 0 to 1"},
		{"COMET_TRACING_ENDPOINT=collector:4318", "tracing.endpoint", "is not a URL: write one as http://"},
		{"COMET_TRACING_ENDPOINT=https://u:p@c.example", "tracing.endpoint", "must have no user, password or query"},
		{"COMET_NODE=\x7f", "node", "must be 1 to 64 printable ASCII characters"},
		{"COMET_NODE=" + strings.Repeat("n", 65), "node", "must be 1 to 64"},
		{"COMET_HTTP_LISTEN=8080", "http.listen", "is not host:port"},
		{"COMET_HTTP_LISTEN=127.0.0.1:http", "http.listen", "is not host:port"},
		{"COMET_HTTP_LISTEN=127.0.0.1:65536", "http.listen", "is not host:port"},
		{"COMET_HTTP_LISTEN=::1:8080", "http.listen", "is not host:port"},
		{"COMET_HTTP_LISTEN=:8080", "http.listen", "set auth.anonymous.subscribe and auth.anonymous.publish"},
		{"COMET_HTTP_LISTEN=example.org:8080", "http.listen", "or listen on 127.0.0.1"},
		{"COMET_ADMIN_LISTEN=9090", "admin.listen", "is not host:port: write for example 127.0.0.1:9090, or nothing for no listener"},
		{"COMET_AUTH_ANONYMOUS_PUBLISH=a,b{c}", "auth.anonymous.publish", "item 2 must not contain { or }"},
		{"COMET_AUTH_ANONYMOUS_PUBLISH=a**,,b", "auth.anonymous.publish", "item 1 must have ** alone between slashes, as in public/** or chat/**/log; item 2 is empty"},

		{"COMET_REDIS_ADDRESSES=r", "redis.addresses", "item 1 is not host:port"},
		{"COMET_REDIS_ADDRESSES=:6379", "redis.addresses", "is not host:port"},
		{"COMET_REDIS_ADDRESSES=r:0", "redis.addresses", "is not host:port"},
		{"COMET_REDIS_ADDRESSES=redis://r:6379/1", "redis.addresses", "redis.username, redis.password, redis.db and redis.tls.enabled"},
		{"COMET_REDIS_ADDRESSES=/run/r.sock,r:1", "redis.addresses", "must be the only address"},
		{"COMET_REDIS_ADDRESSES=/run/r.sock COMET_REDIS_MASTER=m", "redis.addresses", "excludes redis.master"},
		{"COMET_REDIS_ADDRESSES=a:1,b:1 COMET_REDIS_DB=1", "redis.db", "must be 0 for a Redis Cluster"},
		{"COMET_AUTH_JWT_JWKS_URL=https://me:pw@login.example/keys", "auth.jwt.jwks_url", "no user or password"},
		{"COMET_AUTH_JWT_JWKS_URL=login.example/keys", "auth.jwt.jwks_url", "is not a URL"},
		{"COMET_REDIS_DB=1", "redis.db", "has no effect without redis.addresses"},
		{"COMET_REDIS_PASSWORD=x", "redis.password", "has no effect without redis.addresses"},
		{"COMET_REDIS_TLS_ENABLED=true", "redis.tls.enabled", "has no effect without redis.addresses"},
		{"COMET_REDIS_REQUIRED=true", "redis.required", "redis.addresses is empty: name a Redis there as host:port"},
		{"COMET_AUTH_HOOK_HEADERS=Cookie", "auth.hook.headers", "without auth.hook.url"},
		{"COMET_AUTH_HOOK_URL=https://a.example COMET_AUTH_HOOK_SECRET_FILE=s COMET_AUTH_HOOK_HEADERS=cookie COMET_HTTP_CORS_ORIGINS=*", "auth.hook.headers", "every page could publish"},
		{"COMET_AUTH_HOOK_URL=https://a.example COMET_AUTH_HOOK_SECRET_FILE=s COMET_AUTH_HOOK_HEADERS=Host", "auth.hook.headers", "except Host"},
		{redis + " COMET_REDIS_TLS_CERT=x", "redis.tls.cert", "and redis.tls.key go together"},
		{redis + " COMET_REDIS_TLS_CERT=x COMET_REDIS_TLS_KEY=y", "redis.tls.cert", "set redis.tls.enabled to true"},
		{redis + " COMET_REDIS_TLS_ENABLED=1 COMET_REDIS_TLS_CERT=gone.pem COMET_REDIS_TLS_KEY=gone.pem", "redis.tls.cert", "cannot be used with redis.tls.key: no such file"},
		{redis + " COMET_REDIS_TLS_ENABLED=1 COMET_REDIS_TLS_CERT=main_test.go COMET_REDIS_TLS_KEY=main_test.go", "redis.tls.cert", "cannot be used with redis.tls.key: tls: failed to find any PEM data"},
		{redis + " COMET_REDIS_DB=16", "redis.db", "is out of range: write 0 to 15"},
		{redis + " COMET_REDIS_TLS_ENABLED=maybe", "redis.tls.enabled", "must be true or false"},
		{redis + " COMET_REDIS_TLS_SERVER_NAME=x", "redis.tls.server_name", "set redis.tls.enabled to true"},
		{redis + " COMET_REDIS_TLS_CA=x", "redis.tls.ca", "set redis.tls.enabled to true"},
		{redis + " COMET_REDIS_TLS_ENABLED=1 COMET_REDIS_TLS_CA=gone.pem", "redis.tls.ca", "cannot be used: no such file"},
		{redis + " COMET_REDIS_TLS_ENABLED=1 COMET_REDIS_TLS_CA=main_test.go", "redis.tls.ca", "has no PEM certificate"},
		{redis + " COMET_REDIS_PASSWORD_FILE=gone", "redis.password_file", "cannot be read: no such file"},
		{redis + " COMET_REDIS_PASSWORD_FILE=.", "redis.password_file", "cannot be read: is a directory"},
		{redis + " COMET_REDIS_PASSWORD=x COMET_REDIS_PASSWORD_FILE=main_test.go", "redis.password_file", "set only one"},
		{redis + " COMET_REDIS_PREFIX=a:b", "redis.prefix", "must be 1 to 32 of"},
		{redis + " COMET_REDIS_PREFIX=" + strings.Repeat("p", 33), "redis.prefix", "must be 1 to 32 of"},
		{redis + " COMET_REDIS_TIMEOUT=61s", "redis.timeout", "is out of range: write 100ms to 1m"},
		{redis + " COMET_REDIS_USERNAME=a\tb", "redis.username", "without control characters"},

		{"COMET_ADMIN_TOKEN=a COMET_ADMIN_LISTEN=0.0.0.0:9090", "admin.token", "at least 32 characters"},
		{"COMET_ADMIN_TOKEN=0123456789abcdef0123456789abcde COMET_ADMIN_LISTEN=:9090", "admin.token", "at least 32 characters"},
		{"COMET_ADMIN_TOKEN=REPLACE-ME COMET_ADMIN_LISTEN=:9090", "admin.token", "still has the placeholder REPLACE-ME"},
		{"COMET_AUTH_KEYS=backend:REPLACE-ME COMET_HTTP_LISTEN=:8080", "auth.keys", "still has the placeholder REPLACE-ME"},
		{"COMET_AUTH_JWT_SECRET=REPLACE-ME COMET_AUTH_JWT_ALGORITHMS=HS256", "auth.jwt.secret", "still has the placeholder"},
		{"COMET_REDIS_ADDRESSES=REPLACE-ME:6379 COMET_REDIS_PASSWORD=x", "redis.addresses", "still has the placeholder"},
		{"COMET_REDIS_ADDRESSES=REPLACE-ME", "redis.addresses", "still has the placeholder"},
		{redis + " COMET_REDIS_DB=REPLACE-ME", "redis.db", "still has the placeholder"},

		{"COMET_HTP_LISTEN=x", "COMET_HTP_LISTEN", "did you mean COMET_HTTP_LISTEN?"},
		{"COMET_REDIS_ADDR=x", "COMET_REDIS_ADDR", "did you mean COMET_REDIS_ADDRESSES?"},
		{"COMET_LISTEN=x", "COMET_LISTEN", "did you mean COMET_HTTP_LISTEN?"},
		{"COMET_SOMETHING_ELSE=x", "COMET_SOMETHING_ELSE", "`comet config print` shows all settings"},
		{"COMET_PORT=80", "COMET_PORT", "is not a setting"},
	} {
		problems := loadProblems(t, Source{Environ: strings.Split(tt.environ, " ")})
		if len(problems) != 1 || problems[0].Key != tt.key || !strings.Contains(problems[0].Message, tt.message) {
			t.Errorf("%s: got\n%v\nwant one with %s … %s", tt.environ, problems, tt.key, tt.message)
			continue
		}
		source := elsewhere
		if isKey(tt.key) {
			source = setting(tt.key).Env
		}
		if problems[0].Source != source {
			t.Errorf("%s: source is %q, want %q", tt.environ, problems[0].Source, source)
		}
	}
}

func TestProblemsOfFiles(t *testing.T) {
	for _, tt := range []struct{ content, want string }{
		{"http:\n  listn: x", "FILE:2: http.listn: is not a setting; did you mean http.listen?"},
		{"htp: {listen: x}", "FILE:1: htp.listen: is not a setting; did you mean http.listen?"},
		{"listen: x", "FILE:1: listen: is not a setting; did you mean http.listen?"},
		{"qwertyuiop: {}", "FILE:1: qwertyuiop: is not a setting; `comet config print` shows all settings"},
		{"redis: r:1", "FILE:1: redis: is a group of settings: write them under it, as in redis.addresses"},
		{"http: {heartbeat: 25}", `FILE:1: http.heartbeat = "25": needs a unit (ms, s, m or h), as in 25s`},
		{"http: {heartbeat: [1s]}", `FILE:1: http.heartbeat = "1s": must be one value, not a list`},
		{"http: {heartbeat: {s: 1}}", "FILE:1: http.heartbeat: must be a value, not a group"},
		{"auth: {anonymous: {publish: [a, [b]]}}", "FILE:1: auth.anonymous.publish: item 2 must be one value"},
		{"auth: {anonymous: {publish: [a, ]}}\nauth.anonymous.publish: b", "FILE:2: auth.anonymous.publish: is set twice, first in FILE:1: remove one"},
		{"node: a\nNode: b", "FILE:2: node: is set twice, first in FILE:1: remove one"},
		{"auth: {anonymous: {publish: &x [*x]}}", "FILE:1: auth.anonymous.publish: item 1 must be one value"},
		{"http: &x {http: *x}", "FILE:1: http.http: is not a setting"},
		{"- a", "FILE:1: must hold settings"},
		{"node: a\n---\nnode: b", "FILE:2: must hold one YAML document: remove what follows the ---"},
		{"node: a\nhttp: {listen: x", "FILE:1: is not YAML near here: did not find expected ',' or '}'"},
		{"node: a\n  b: c", "FILE:2: is not YAML near here: mapping values are not allowed in this context"},
		{"node: *x", "FILE: is not YAML near here: unknown anchor"},
		{"node: \"\xff\"", "FILE: is not YAML near here: invalid"},
	} {
		path := writeFile(t, "comet.yaml", tt.content)
		problems := loadProblems(t, Source{File: path})
		want := strings.ReplaceAll(tt.want, "FILE", path)
		if len(problems) != 1 || !strings.HasPrefix(problems.Error(), want) {
			t.Errorf("%q: got\n%v\nwant one\n%s", tt.content, problems, want)
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	problems := loadProblems(t, Source{File: "gone.yaml"})
	if got, want := problems.Error(), "gone.yaml: cannot be read: no such file or directory"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	path := writeFile(t, "comet.yaml", `
http:
  listn: x
  heartbeat: 25
redis: {password: hunter2, tls: {server_name: a}}
limits: {mesage: 1, batch: 0}
`)
	problems := loadProblems(t, Source{
		File:    path,
		Environ: []string{"COMET_NOD=x", "COMET_LIMITS_WAIT=1h"},
		Flags:   parseFlags(t, "--log-level=loud", "--http-listen=:80"),
	})
	want := []string{
		path + ":3: http.listn: is not a setting; did you mean http.listen?",
		path + ":6: limits.mesage: is not a setting; did you mean limits.message?",
		"environment: COMET_NOD: is not a setting; did you mean COMET_NODE?",
		path + `:4: http.heartbeat = "25": needs a unit (ms, s, m or h), as in 25s`,
		path + `:6: limits.batch = "0": is out of range: write 1 to 10000`,
		`COMET_LIMITS_WAIT: limits.wait = "1h": is out of range: write 0s to 10m`,
		`--log-level: log.level = "loud": must be one of debug, info, warn, error`,
		`--http-listen: http.listen = ":80": lets other machines connect`,
		path + `:5: redis.password = "******": has no effect without redis.addresses`,
		path + `:5: redis.tls.server_name = "a": has no effect without redis.addresses`,
	}
	lines := strings.Split(problems.Error(), "\n")
	if len(lines) != len(want) {
		t.Fatalf("got %d problems, want %d:\n%v", len(lines), len(want), problems)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("got  %s\nwant %s", lines[i], want[i])
		}
	}
	if p, ok := errors.AsType[*Problem](error(problems)); !ok || p != problems[0] {
		t.Error("a Problem cannot be had from Problems")
	}
}

// TestNoFollowUpProblems: a value that failed is not also a contradiction.
func TestNoFollowUpProblems(t *testing.T) {
	for _, environ := range [][]string{
		{"COMET_REDIS_ADDRESSES=redis://r:1", "COMET_REDIS_DB=1", "COMET_REDIS_PASSWORD=x"},
		{"COMET_REDIS_DB=99"},
		{redis, "COMET_REDIS_TLS_ENABLED=maybe", "COMET_REDIS_TLS_SERVER_NAME=x"},
		{"COMET_HTTP_LISTEN=0.0.0.0:80", "COMET_AUTH_ANONYMOUS_PUBLISH={}"},
		{"COMET_NODE=a b"},
	} {
		if problems := loadProblems(t, Source{Environ: environ}); len(problems) != 1 {
			t.Errorf("%v: got\n%v", environ, problems)
		}
	}
}

func TestServiceLinks(t *testing.T) {
	environ := []string{
		"KUBERNETES_SERVICE_HOST=10.0.0.1",
		"COMET_SERVICE_HOST=10.0.0.2",
		"COMET_SERVICE_PORT=80",
		"COMET_SERVICE_PORT_HTTP=80",
		"COMET_PORT=tcp://10.0.0.2:80",
		"COMET_PORT_80_TCP=tcp://10.0.0.2:80",
		"COMET_PORT_80_TCP_ADDR=10.0.0.2",
		"COMET_REDIS_SERVICE_HOST=10.0.0.3",
		"COMET_REDIS_PORT_6379_TCP_PROTO=tcp",
	}
	if problems := loadProblems(t, Source{Environ: environ}); problems != nil {
		t.Errorf("variables of Kubernetes: %v", problems)
	}
	if problems := loadProblems(t, Source{Environ: environ[1:]}); len(problems) != len(environ)-1 {
		t.Errorf("the same elsewhere: %v", problems)
	}
}
