package config

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestTable(t *testing.T) {
	envs, flags := map[string]bool{}, map[string]bool{}
	for _, s := range Table() {
		if envs[s.Env] || flags[s.Flag] {
			t.Errorf("%s shares its variable or flag with another setting", s.Key)
		}
		envs[s.Env], flags[s.Flag] = true, true
		if s.Key != strings.ToLower(s.Key) || s.Help == "" {
			t.Errorf("%s must be in lower case and have a help", s.Key)
		}
		if serviceLink.MatchString(s.Env) {
			t.Errorf("%s looks like a variable of Kubernetes, which would set it", s.Env)
		}
		var scratch Settings
		if s.Default != "" {
			if err := s.set(&scratch, s.Default); err != nil || s.text(&scratch) != s.Default {
				t.Errorf("%s: the default %q reads back as %q, %v", s.Key, s.Default, s.text(&scratch), err)
			}
		}
	}
	if s := setting("redis.tls.server_name"); s.Env != "COMET_REDIS_TLS_SERVER_NAME" || s.Flag != "redis-tls-server-name" {
		t.Errorf("got %s and %s", s.Env, s.Flag)
	}
}

func TestTableIsACopy(t *testing.T) {
	Table()[0].Key = "changed"
	if Table()[0].Key == "changed" {
		t.Error("a caller can change the table")
	}
}

func TestMarkdownTable(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(MarkdownTable(), "\n"), "\n")
	if len(lines) != 2+len(Table()) {
		t.Fatalf("got %d lines", len(lines))
	}
	for _, line := range lines {
		if strings.Count(line, "|") != 5 {
			t.Errorf("not 4 cells: %s", line)
		}
	}
	want := "| `http.heartbeat` | `25s` | 1s to 10m | interval of the comment sent on a silent stream, which keeps proxies from closing it |"
	if !slices.Contains(lines, want) {
		t.Errorf("no line %s in\n%s", want, strings.Join(lines, "\n"))
	}
}

func TestFlagsHelp(t *testing.T) {
	help := parseFlags(t).FlagUsages()
	for _, s := range Table() {
		if !strings.Contains(help, "--"+s.Flag+" ") && !strings.Contains(help, "--"+s.Flag+"\n") {
			t.Errorf("no --%s in\n%s", s.Flag, help)
		}
	}
	for _, want := range []string{"--http-heartbeat duration ", "(1s to 10m) (default 25s)", "--redis-addresses list ", "--redis-tls-enabled  "} {
		if !strings.Contains(help, want) {
			t.Errorf("no %q in\n%s", want, help)
		}
	}
}

func TestWriteYAML(t *testing.T) {
	file := writeFile(t, "comet.yaml", "node: a\nauth: {anonymous: {subscribe: ['a', \"b\\\"c\"]}}\n")
	l := mustLoad(t, Source{
		File:    file,
		Environ: []string{redis, "COMET_REDIS_PASSWORD=" + password},
		Flags:   parseFlags(t, "--history-ttl=90m", "--redis-tls-enabled"),
	})
	var out bytes.Buffer
	if err := l.WriteYAML(&out); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`http:
  listen: "127.0.0.1:8080"  # default
  heartbeat: 25s  # default
  compress: "off"  # default
  max_age: 0s  # default
  chat: false  # default
  cors:
    # origins: not set  # default
  tls:
    cert: ""  # default
    key: ""  # default
  # trusted_proxies: not set  # default
  forwarded_header: "X-Forwarded-For"  # default
admin:
  listen: "127.0.0.1:9090"  # default
  token: ""  # default
redis:
  addresses: ["r:1"]  # COMET_REDIS_ADDRESSES
  required: false  # default
  master: ""  # default
  sentinel_username: ""  # default
  sentinel_password: ""  # default
  cluster: false  # default
  username: ""  # default
  # password: "******"  # COMET_REDIS_PASSWORD
  password_file: ""  # default
  db: 0  # default
  tls:
    enabled: true  # --redis-tls-enabled
    ca: ""  # default
    cert: ""  # default
    key: ""  # default
    server_name: ""  # default
  prefix: "comet"  # default
  timeout: 3s  # default
  min_replicas: 0  # default
  relays: 1  # default
  inline: 16KiB  # default
history:
  size: 1000  # default
  ttl: 1h30m  # --history-ttl
channels: []  # default
presence:
  ttl: 30s  # default
  members: 100000  # default
bayeux:
  enabled: false  # default
  path: "/bayeux"  # default
  prefix: ""  # default
  timeout: 30s  # default
  interval: 0s  # default
  max_interval: 1m  # default
auth:
  anonymous:
    subscribe: ["a", "b\"c"]  # FILE:2
    # publish: not set  # default
  keys: ""  # default
  keys_file: ""  # default
  # key_rules: not set  # default
  jwt:
    # algorithms: not set  # default
    secret: ""  # default
    secret_file: ""  # default
    # public_keys: not set  # default
    jwks_url: ""  # default
    jwks_refresh: 15m  # default
    issuer: ""  # default
    audience: ""  # default
    max_age: 24h  # default
    leeway: 10s  # default
    grace: 0s  # default
  revocations_file: "auto"  # default
  cookie:
    name: ""  # default
    # origins: not set  # default
  hook:
    url: ""  # default
    secret_file: ""  # default
    # headers: not set  # default
    timeout: 1s  # default
limits:
  message: 64KiB  # default
  batch: 1000  # default
  channels: 64  # default
  wait: 55s  # default
  connections: 0  # default
  replay_memory: 64MiB  # default
  header: 16KiB  # default
  address_connections: 0  # default
  user_connections: 0  # default
  address_requests: 0  # default
  user_requests: 0  # default
  address_publishes: 0  # default
  user_publishes: 0  # default
drain:
  delay: 5s  # default
  spread: 20s  # default
events:
  url: ""  # default
  secret_file: ""  # default
log:
  level: info  # default
  format: "text"  # default
tracing:
  endpoint: ""  # default
  sample: 1  # default
node: "a"  # FILE:1
`, "FILE", file)
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	again := mustLoad(t, Source{File: writeFile(t, "again.yaml", out.String())})
	again.Redis.Password = NewSecret(password)
	if !reflect.DeepEqual(again.Settings, l.Settings) {
		t.Errorf("it reads back as\n%+v\nwant\n%+v", again.Settings, l.Settings)
	}
}

// TestWriteYAMLOfDefaults: what is printed for no Redis and no auth is valid
// and means the same.
func TestWriteYAMLOfDefaults(t *testing.T) {
	l := mustLoad(t, Source{})
	var out bytes.Buffer
	if err := l.WriteYAML(&out); err != nil {
		t.Fatal(err)
	}
	again := mustLoad(t, Source{File: writeFile(t, "again.yaml", out.String())})
	if !reflect.DeepEqual(again.Settings, l.Settings) || !again.Open() {
		t.Errorf("it reads back as\n%+v\nwant\n%+v", again.Settings, l.Settings)
	}
}

// FuzzFile: a file never breaks Load, and what Load takes from a file is what
// it takes from WriteYAML.
func FuzzFile(f *testing.F) {
	for _, content := range []string{
		"http: {listen: \":80\", heartbeat: 25s}\nauth: {anonymous: {subscribe: [\"**\"]}}",
		"redis:\n  addresses: [r:1, r:2]\n  master: \"a\\u2028b: # c\"\n",
		"redis: {addresses: /run/r.sock, username: 'null'}",
		"node: &a x\n<<: *a\n? [a]\n: b\n",
		"a: &x {b: *x}\nhttp: *x",
		"---\n---\n",
		"\xff\xfe",
	} {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content string) {
		if strings.Contains(content, "file") || strings.Contains(content, "ca") {
			t.Skip("must not read files of the fuzzer's choice")
		}
		l, err := Load(Source{File: writeFile(t, "comet.yaml", content)})
		if err != nil {
			return
		}
		if l.Redis.Password.Reveal() != "" {
			t.Skip("a password is not written")
		}
		var out bytes.Buffer
		if err := l.WriteYAML(&out); err != nil {
			t.Fatal(err)
		}
		again := mustLoad(t, Source{File: writeFile(t, "again.yaml", out.String())})
		if !reflect.DeepEqual(again.Settings, l.Settings) {
			t.Fatalf("%q reads back as\n%+v\nwant\n%+v", content, again.Settings, l.Settings)
		}
		if name := l.Redis.Username; !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
			t.Fatalf("redis.username is %q", name)
		}
	})
}
