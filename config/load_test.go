package config

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestDefaults(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{
		HTTP:     HTTP{Listen: "127.0.0.1:8080", Heartbeat: 25 * time.Second, Compress: "off", ForwardedHeader: "X-Forwarded-For"},
		Admin:    Admin{Listen: "127.0.0.1:9090"},
		Redis:    Redis{Prefix: "comet", Timeout: 3 * time.Second, Relays: 1, Inline: 16 << 10},
		History:  History{Size: 1000, TTL: 24 * time.Hour},
		Presence: Presence{TTL: 30 * time.Second, Members: 100_000},
		Bayeux:   Bayeux{Path: "/bayeux", Timeout: 30 * time.Second, MaxInterval: time.Minute},
		Auth:     Auth{Hook: AuthHook{Timeout: time.Second}, JWT: JWT{JWKSRefresh: 15 * time.Minute, MaxAge: 24 * time.Hour, Leeway: 10 * time.Second}, RevocationsFile: AutoFile},
		Limits:   Limits{Message: 64 << 10, Batch: 1000, Channels: 64, Wait: 55 * time.Second, Header: 16 << 10, ReplayMemory: 64 << 20},
		Drain:    Drain{Delay: 5 * time.Second, Spread: 20 * time.Second},
		Log:      Log{Level: slog.LevelInfo, Format: "text"},
		Tracing:  Tracing{Sample: 1},
		Node:     host,
	}
	got := mustLoad(t, Source{})
	if !reflect.DeepEqual(got.Settings, want) {
		t.Errorf("got %+v\nwant %+v", got.Settings, want)
	}
	if !got.Open() {
		t.Error("nothing was said about auth, yet it is not open")
	}
}

// sample is a valid value, other than the default, for each setting.
func sample(t *testing.T) map[string]string {
	cert, key := certificate(t)
	return map[string]string{
		"http.listen":                "127.0.0.1:9999",
		"http.heartbeat":             "1m30s",
		"http.compress":              "on",
		"http.max_age":               "2h",
		"http.chat":                  "true",
		"http.cors.origins":          "https://a.example,https://b.example",
		"http.tls.cert":              "chain.pem",
		"http.tls.key":               "key.pem",
		"http.trusted_proxies":       "10.0.0.0/8,192.0.2.1",
		"http.forwarded_header":      "Forwarded",
		"admin.listen":               "127.0.0.1:0",
		"admin.token":                "hunter4",
		"redis.required":             "true",
		"redis.addresses":            "one:1,two:2",
		"redis.master":               "primary",
		"redis.sentinel_username":    "watch",
		"redis.sentinel_password":    "hunter3",
		"redis.cluster":              "true",
		"redis.username":             "alice",
		"redis.password":             "hunter2",
		"redis.password_file":        writeFile(t, "password", "hunter2\n"),
		"redis.db":                   "3",
		"redis.tls.enabled":          "true",
		"redis.tls.ca":               writeFile(t, "ca.pem", cert),
		"redis.tls.cert":             writeFile(t, "cert.pem", cert),
		"redis.tls.key":              writeFile(t, "key.pem", key),
		"redis.tls.server_name":      "redis.example",
		"redis.prefix":               "other-1",
		"redis.timeout":              "250ms",
		"redis.min_replicas":         "2",
		"redis.relays":               "4",
		"redis.inline":               "2KiB",
		"history.size":               "77",
		"history.ttl":                "36h",
		"channels":                   `[{match: "chat/**", history: {size: 9}, presence: true, from: false}]`,
		"presence.ttl":               "10s",
		"presence.members":           "500",
		"bayeux.enabled":             "true",
		"bayeux.path":                "/cometd",
		"bayeux.prefix":              "app/",
		"bayeux.timeout":             "20s",
		"bayeux.interval":            "1s",
		"bayeux.max_interval":        "2m",
		"auth.anonymous.subscribe":   "public/**,news",
		"auth.anonymous.publish":     "chat/*",
		"auth.keys":                  "backend:hunter5",
		"auth.keys_file":             "keys",
		"auth.key_rules":             "backend:publish:chat/**",
		"auth.jwt.algorithms":        "RS256,HS256",
		"auth.jwt.secret":            "hunter6",
		"auth.jwt.secret_file":       "secret",
		"auth.jwt.public_keys":       "one.pem,two.pem",
		"auth.jwt.jwks_url":          "https://id.example/keys",
		"auth.jwt.jwks_refresh":      "1m",
		"auth.jwt.issuer":            "https://id.example",
		"auth.jwt.audience":          "comet",
		"auth.jwt.max_age":           "12h",
		"auth.jwt.leeway":            "5s",
		"auth.jwt.grace":             "30s",
		"auth.revocations_file":      "revocations",
		"auth.cookie.name":           "token",
		"auth.cookie.origins":        "https://a.example",
		"auth.hook.url":              "https://app.example/ask",
		"auth.hook.secret_file":      "hook-secret",
		"auth.hook.headers":          "Cookie,X-Tenant",
		"auth.hook.timeout":          "2s",
		"events.url":                 "https://app.example/events",
		"events.secret_file":         "events-secret",
		"limits.header":              "8KiB",
		"limits.replay_memory":       "8MiB",
		"limits.address_connections": "10",
		"limits.user_connections":    "11",
		"limits.address_requests":    "12",
		"limits.user_requests":       "13",
		"limits.address_publishes":   "14",
		"limits.user_publishes":      "15",
		"limits.message":             "3KiB",
		"limits.batch":               "12",
		"limits.channels":            "256",
		"limits.wait":                "0s",
		"limits.connections":         "5000",
		"drain.delay":                "1s",
		"drain.spread":               "2m",
		"log.level":                  "debug",
		"log.format":                 "json",
		"tracing.endpoint":           "https://traces.example/v1/traces",
		"tracing.sample":             "0.25",
		"node":                       "eu-1",
	}
}

// needs is what a setting takes for granted.
var needs = map[string]map[string]string{
	"auth.hook.url":         {"auth.hook.secret_file": "s"},
	"auth.hook.secret_file": {"auth.hook.url": "https://app.example/"},
	"auth.hook.headers":     {"auth.hook.url": "https://app.example/", "auth.hook.secret_file": "s"},
	"events.url":            {"events.secret_file": "s"},
	"events.secret_file":    {"events.url": "https://app.example/"},

	"http.tls.cert": {"http.tls.key": "k"},
	"http.tls.key":  {"http.tls.cert": "c"},

	"auth.jwt.algorithms":  {"auth.jwt.secret": "s"},
	"auth.jwt.secret":      {"auth.jwt.algorithms": "HS256"},
	"auth.jwt.secret_file": {"auth.jwt.algorithms": "HS256"},
	"auth.jwt.public_keys": {"auth.jwt.algorithms": "RS256"},
	"auth.jwt.jwks_url":    {"auth.jwt.algorithms": "RS256"},

	"redis.sentinel_username": {"redis.addresses": "r:1", "redis.master": "m"},
	"redis.sentinel_password": {"redis.addresses": "r:1", "redis.master": "m"},

	"redis.required":        {"redis.addresses": "r:1"},
	"redis.tls.ca":          {"redis.addresses": "r:1", "redis.tls.enabled": "true"},
	"redis.tls.cert":        {"redis.addresses": "r:1", "redis.tls.enabled": "true", "redis.tls.key": ""},
	"redis.tls.key":         {"redis.addresses": "r:1", "redis.tls.enabled": "true", "redis.tls.cert": ""},
	"redis.tls.server_name": {"redis.addresses": "r:1", "redis.tls.enabled": "true"},
}

func TestEverySettingFromEverySource(t *testing.T) {
	samples := sample(t)
	defaults := mustLoad(t, Source{}).Values()
	for i, s := range Table() {
		text, ok := samples[s.Key]
		if !ok {
			t.Errorf("%s has no sample: add one", s.Key)
			continue
		}
		base := needs[s.Key]
		if base == nil && strings.HasPrefix(s.Key, "redis.") && s.Key != "redis.addresses" {
			base = map[string]string{"redis.addresses": "r:1"}
		}
		var lines []string
		for key, value := range base {
			value = cmp.Or(value, samples[key])
			lines = append(lines, key+": "+value)
		}
		baseFile := strings.Join(lines, "\n")
		file := writeFile(t, "comet.yaml", baseFile+"\n"+s.Key+": "+strconv.Quote(text)+"\n")

		for origin, src := range map[string]Source{
			file:          {File: file},
			s.Env:         {File: writeFile(t, "base.yaml", baseFile), Environ: []string{s.Env + "=" + text}},
			"--" + s.Flag: {File: writeFile(t, "base.yaml", baseFile), Flags: parseFlags(t, "--"+s.Flag+"="+text)},
		} {
			l := mustLoad(t, src)
			got := l.Values()[i]
			want := text
			if s.Secret {
				want = mask
			}
			if got.Key != s.Key || got.Value != want || got.Value == defaults[i].Value || !strings.HasPrefix(got.Origin, origin) {
				t.Errorf("%s = %q from %s: got %+v", s.Key, text, origin, got)
			}
		}
	}
}

// TestSettingsLand checks the fields themselves, which Values reads through
// the same table that wrote them.
func TestSettingsLand(t *testing.T) {
	samples := sample(t)
	delete(samples, "redis.password_file")  // contradicts redis.password
	delete(samples, "redis.cluster")        // contradicts redis.master
	delete(samples, "auth.keys_file")       // contradicts auth.keys
	delete(samples, "auth.jwt.secret_file") // contradicts auth.jwt.secret
	var environ []string
	for _, s := range Table() {
		environ = append(environ, s.Env+"="+samples[s.Key])
	}
	got := mustLoad(t, Source{Environ: environ})
	want := Settings{
		HTTP: HTTP{
			Listen: "127.0.0.1:9999", Heartbeat: 90 * time.Second, Compress: "on", MaxAge: 2 * time.Hour, Chat: true,
			CORS:           CORS{Origins: []string{"https://a.example", "https://b.example"}},
			TLS:            TLS{Cert: "chain.pem", Key: "key.pem"},
			TrustedProxies: []string{"10.0.0.0/8", "192.0.2.1"}, ForwardedHeader: "Forwarded",
		},
		Admin: Admin{Listen: "127.0.0.1:0", Token: NewSecret("hunter4")},
		Redis: Redis{
			Required:  true,
			Addresses: []string{"one:1", "two:2"},
			Master:    "primary",
			Username:  "alice",
			Password:  NewSecret("hunter2"),
			DB:        3,
			TLS:       RedisTLS{Enabled: true, CA: samples["redis.tls.ca"], Cert: samples["redis.tls.cert"], Key: samples["redis.tls.key"], ServerName: "redis.example"},
			Prefix:    "other-1",
			Timeout:   250 * time.Millisecond,

			SentinelUsername: "watch",
			SentinelPassword: NewSecret("hunter3"),
			MinReplicas:      2,
			Relays:           4,
			Inline:           2048,
		},
		History:  History{Size: 77, TTL: 36 * time.Hour},
		Channels: []ChannelRule{{Match: "chat/**", History: History{Size: 9}, Presence: true, NoFrom: true}},
		Presence: Presence{TTL: 10 * time.Second, Members: 500},
		Bayeux:   Bayeux{Enabled: true, Path: "/cometd", Prefix: "app/", Timeout: 20 * time.Second, Interval: time.Second, MaxInterval: 2 * time.Minute},
		Auth: Auth{
			Anonymous: Anonymous{Subscribe: []string{"public/**", "news"}, Publish: []string{"chat/*"}},
			Keys:      NewSecret("backend:hunter5"),
			KeyRules:  []string{"backend:publish:chat/**"},
			JWT: JWT{
				Algorithms: []string{"RS256", "HS256"}, Secret: NewSecret("hunter6"), PublicKeys: []string{"one.pem", "two.pem"},
				JWKSURL: "https://id.example/keys", JWKSRefresh: time.Minute, Issuer: "https://id.example", Audience: "comet",
				MaxAge: 12 * time.Hour, Leeway: 5 * time.Second, Grace: 30 * time.Second,
			},
			RevocationsFile: "revocations",
			Cookie:          Cookie{Name: "token", Origins: []string{"https://a.example"}},
			Hook:            AuthHook{Hook: Hook{URL: "https://app.example/ask", SecretFile: "hook-secret"}, Headers: []string{"Cookie", "X-Tenant"}, Timeout: 2 * time.Second},
		},
		Limits: Limits{
			Message: 3072, Batch: 12, Channels: 256, Connections: 5000, Header: 8 << 10, ReplayMemory: 8 << 20,
			AddressConnections: 10, UserConnections: 11, AddressRequests: 12, UserRequests: 13, AddressPublishes: 14, UserPublishes: 15,
		},
		Drain:   Drain{Delay: time.Second, Spread: 2 * time.Minute},
		Events:  Hook{URL: "https://app.example/events", SecretFile: "events-secret"},
		Log:     Log{Level: slog.LevelDebug, Format: "json"},
		Tracing: Tracing{Endpoint: "https://traces.example/v1/traces", Sample: 0.25},
		Node:    "eu-1",
	}
	if !reflect.DeepEqual(got.Settings, want) {
		t.Errorf("got %+v\nwant %+v", got.Settings, want)
	}
}

func TestPrecedence(t *testing.T) {
	file := writeFile(t, "comet.yaml", "# mine\nHTTP:\n  Heartbeat: 1s\nlimits: {channels: 1, batch: 1}\n")
	environ := []string{"COMET_LIMITS_CHANNELS=2", "COMET_LIMITS_BATCH=2", "COMET_HISTORY_SIZE=", "OTHER=1"}
	l := mustLoad(t, Source{File: file, Environ: environ, Flags: parseFlags(t, "--limits-batch", "3")})

	for key, want := range map[string]Value{
		"history.size":    {Value: "1000", Origin: "default"}, // a number cannot be empty
		"http.heartbeat":  {Value: "1s", Origin: file + ":3"},
		"limits.channels": {Value: "2", Origin: "COMET_LIMITS_CHANNELS"},
		"limits.batch":    {Value: "3", Origin: "--limits-batch"},
	} {
		i := slices.IndexFunc(l.Values(), func(v Value) bool { return v.Key == key })
		want.Key = key
		if got := l.Values()[i]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// TestAdminOff: empty is a value, wherever it comes from.
func TestAdminOff(t *testing.T) {
	for name, tt := range map[string]struct {
		src  Source
		want string
	}{
		"flag":                   {Source{Flags: parseFlags(t, "--admin-listen=")}, ""},
		"file":                   {Source{File: writeFile(t, "c", "admin: {listen: \"\"}")}, ""},
		"variable":               {Source{Environ: []string{"COMET_ADMIN_LISTEN="}}, ""},
		"variable, not the file": {Source{Environ: []string{"COMET_ADMIN_LISTEN="}, File: writeFile(t, "c", "admin: {listen: \":9999\"}")}, ""},
		"none":                   {Source{Environ: []string{"OTHER="}}, "127.0.0.1:9090"},
	} {
		if got := mustLoad(t, tt.src).Admin.Listen; got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// TestEmptyVariable: a variable may be empty where a flag may, which is where
// there is text or a list; elsewhere it counts as not set.
func TestEmptyVariable(t *testing.T) {
	needsText := []string{"http.listen", "http.compress", "http.forwarded_header", "redis.prefix", "bayeux.path", "log.level", "log.format"}
	for _, s := range Table() {
		want := slices.Contains([]string{"string", "list", "rules"}, s.Type) && !slices.Contains(needsText, s.Key)
		environ, unknown := readEnviron([]string{s.Env + "="})
		value, counts := environ[s.Key].(given)
		if counts != want || counts && value.raw != "" || unknown != nil {
			t.Errorf("%s: counts: %v, as %q, %v; want %v", s.Env, counts, value, unknown, want)
		}
	}
	file := writeFile(t, "c", "redis: {addresses: [r:1]}\nhttp: {cors: {origins: [https://a.example]}}\ntracing: {endpoint: http://127.0.0.1:4318}")
	l := mustLoad(t, Source{File: file, Environ: []string{"COMET_REDIS_ADDRESSES=", "COMET_HTTP_CORS_ORIGINS=", "COMET_TRACING_ENDPOINT="}})
	if len(l.Redis.Addresses) > 0 || len(l.HTTP.CORS.Origins) > 0 || l.Tracing.Endpoint != "" {
		t.Errorf("got %q, %q, %q", l.Redis.Addresses, l.HTTP.CORS.Origins, l.Tracing.Endpoint)
	}
}

func TestLists(t *testing.T) {
	for name, tt := range map[string]struct {
		src  Source
		want []string
	}{
		"variable":        {Source{Environ: []string{"COMET_AUTH_ANONYMOUS_PUBLISH=a, b ,c/**"}}, []string{"a", "b", "c/**"}},
		"flag":            {Source{Flags: parseFlags(t, "--auth-anonymous-publish=a,b")}, []string{"a", "b"}},
		"flag twice":      {Source{Flags: parseFlags(t, "--auth-anonymous-publish=a", "--auth-anonymous-publish=b")}, []string{"a", "b"}},
		"empty flag":      {Source{Environ: []string{"COMET_AUTH_ANONYMOUS_PUBLISH=a"}, Flags: parseFlags(t, "--auth-anonymous-publish=")}, []string{}},
		"file":            {Source{File: writeFile(t, "c", "auth: {anonymous: {publish: [\"a,b\", c]}}")}, []string{"a,b", "c"}},
		"file, one line":  {Source{File: writeFile(t, "c", "auth.anonymous.publish: a, b")}, []string{"a", "b"}},
		"file, empty":     {Source{File: writeFile(t, "c", "auth: {anonymous: {publish: []}}")}, []string{}},
		"file, null":      {Source{File: writeFile(t, "c", "auth: {anonymous: {publish: }}")}, nil},
		"file, no group":  {Source{File: writeFile(t, "c", "auth:\n  anonymous:\n")}, nil},
		"file, alias":     {Source{File: writeFile(t, "c", "auth:\n  anonymous: {subscribe: &l [a], publish: *l}")}, []string{"a"}},
		"file, only ---":  {Source{File: writeFile(t, "c", "---\n")}, nil},
		"file, only #":    {Source{File: writeFile(t, "c", "# nothing\n")}, nil},
		"not set at all":  {Source{}, nil},
		"empty variable":  {Source{Environ: []string{"COMET_AUTH_ANONYMOUS_PUBLISH="}}, []string{}},
		"flags not given": {Source{Flags: parseFlags(t)}, nil},
	} {
		l := mustLoad(t, tt.src)
		if got := l.Auth.Anonymous.Publish; !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %#v, want %#v", name, got, tt.want)
		}
	}
}

// TestValuesStayAsWritten: YAML has its own ideas of 0123, yes and 1:30.
func TestValuesStayAsWritten(t *testing.T) {
	l := mustLoad(t, Source{File: writeFile(t, "c", "redis: {addresses: [r:1], username: 1:30, password: 0123, master: yes}")})
	if l.Redis.Password.Reveal() != "0123" || l.Redis.Username != "1:30" || l.Redis.Master != "yes" {
		t.Errorf("got %+v, password %q", l.Redis, l.Redis.Password.Reveal())
	}
}

func TestOpen(t *testing.T) {
	for _, tt := range []struct {
		environ []string
		open    bool
	}{
		{nil, true},
		{[]string{"COMET_HTTP_LISTEN=localhost:0"}, true},
		{[]string{"COMET_HTTP_LISTEN=[::1]:80"}, true},
		{[]string{"COMET_AUTH_ANONYMOUS_SUBSCRIBE=**"}, false},
		{[]string{"COMET_HTTP_LISTEN=:80", "COMET_AUTH_ANONYMOUS_PUBLISH=**"}, false},
	} {
		if l := mustLoad(t, Source{Environ: tt.environ}); l.Open() != tt.open {
			t.Errorf("%v: open is %v", tt.environ, l.Open())
		}
	}
	empty := mustLoad(t, Source{File: writeFile(t, "c", "http: {listen: \":80\"}\nauth: {anonymous: {subscribe: []}}")})
	if empty.Open() {
		t.Error("an empty list permits nothing, but the settings are open")
	}
}

func TestRedisPassword(t *testing.T) {
	for content, want := range map[string]string{
		"hunter2":     "hunter2",
		"hunter2\n":   "hunter2",
		"hunter2\r\n": "hunter2",
		"a\nb\n\n":    "a\nb\n",
	} {
		path := writeFile(t, "password", content)
		l := mustLoad(t, Source{Environ: []string{"COMET_REDIS_ADDRESSES=r:1", "COMET_REDIS_PASSWORD_FILE=" + path}})
		if got, err := l.RedisPassword(); got != want || err != nil {
			t.Errorf("%q: got %q, %v", content, got, err)
		}
	}
	l := mustLoad(t, Source{Environ: []string{"COMET_REDIS_ADDRESSES=/run/redis.sock", "COMET_REDIS_PASSWORD=hunter2"}})
	if got, err := l.RedisPassword(); got != "hunter2" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	l.Redis.PasswordFile = "gone"
	if _, err := l.RedisPassword(); err == nil {
		t.Error("a file that is gone is no error")
	}
}

func TestRedisTLS(t *testing.T) {
	environ := []string{"COMET_REDIS_ADDRESSES=r:1", "COMET_REDIS_TLS_SERVER_NAME=redis.example"}
	cert, key := certificate(t)
	certFile := writeFile(t, "cert.pem", cert)
	flags := parseFlags(t, "--redis-tls-enabled", "--redis-tls-ca", writeFile(t, "ca.pem", cert), "--redis-tls-cert", certFile, "--redis-tls-key", writeFile(t, "key.pem", key))
	l := mustLoad(t, Source{Environ: environ, Flags: flags})
	c, err := l.RedisTLS()
	if err != nil || c.ServerName != "redis.example" || c.RootCAs == nil {
		t.Fatalf("got %+v, %v", c, err)
	}
	if pair, err := c.GetClientCertificate(nil); err != nil || len(pair.Certificate) != 1 {
		t.Errorf("the client certificate is %+v, %v", pair, err)
	}
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetClientCertificate(nil); err == nil {
		t.Error("the file is not read again")
	}
	if c, err := mustLoad(t, Source{}).RedisTLS(); c != nil || err != nil {
		t.Errorf("without TLS: got %+v, %v", c, err)
	}
}

// certificate is a self-signed one and its key, as PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}
