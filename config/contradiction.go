package config

import (
	"fmt"
	"slices"
	"strings"
)

// minAdminToken is the minimum length of admin.token beyond loopback, in bytes.
const minAdminToken = 32

// checkContradictions reports settings that are valid alone and invalid together.
// It skips keys that failed.
func (l *loader) checkContradictions() {
	if l.valid("http.listen", "auth.anonymous.subscribe", "auth.anonymous.publish") && l.loaded.Open() && !isLoopback(l.loaded.HTTP.Listen) {
		l.contradict("http.listen", "lets other machines connect, but no setting says who may subscribe and publish: "+
			"set auth.anonymous.subscribe and auth.anonymous.publish, as in [\"public/**\"], or [\"**\"] for everyone; "+
			"or auth.jwt.algorithms and a key for tokens, or auth.keys_file; or listen on 127.0.0.1")
	}
	if l.valid("admin.listen") && l.loaded.Admin.Listen != "" && l.loaded.Admin.Token.Reveal() == "" && !isLoopback(l.loaded.Admin.Listen) {
		l.contradict("admin.listen", "lets other machines see all data and stop the node: set admin.token, or listen on 127.0.0.1")
	}
	if token := l.loaded.Admin.Token.Reveal(); l.valid("admin.listen", "admin.token") && token != "" && len(token) < minAdminToken && l.loaded.Admin.Listen != "" && !isLoopback(l.loaded.Admin.Listen) {
		l.contradict("admin.token", fmt.Sprintf("is too short for a listener beyond loopback: write at least %d characters, as from `openssl rand -hex 32`", minAdminToken))
	}
	l.checkAuth()
	if l.valid("redis.addresses") && len(l.loaded.Redis.Addresses) == 0 {
		l.checkNoRedis()
		return
	}
	l.checkRedisAddresses()
	l.checkRedisPassword()
	l.checkRedisTLS()
}

// checkAuth reports settings that need each other or exclude each other.
func (l *loader) checkAuth() {
	j := &l.loaded.Auth.JWT
	hasKey := j.Secret.Reveal() != "" || j.SecretFile != "" || len(j.PublicKeys) > 0 || j.JWKSURL != ""
	if l.valid("auth.jwt.algorithms", "auth.jwt.jwks_url") && hasKey != (len(j.Algorithms) > 0) {
		l.contradict("auth.jwt.algorithms", "and a key for tokens go together: set it with auth.jwt.secret_file, auth.jwt.public_keys or auth.jwt.jwks_url, or none of them")
	}
	if j.Secret.Reveal() != "" && j.SecretFile != "" {
		l.contradict("auth.jwt.secret_file", "contradicts auth.jwt.secret: set only one of them")
	}
	a := &l.loaded.Auth
	if a.Keys.Reveal() != "" && a.KeysFile != "" {
		l.contradict("auth.keys_file", "contradicts auth.keys: set only one of them")
	}
	if h := &a.Hook; (h.URL == "") != (h.SecretFile == "") {
		l.contradict("auth.hook.url", "and auth.hook.secret_file go together: set both, or none")
	}
	if h := &a.Hook; h.URL == "" && len(h.Headers) > 0 {
		l.contradict("auth.hook.headers", "has no effect without auth.hook.url: set that too, or remove this setting")
	}
	isCookie := func(name string) bool { return strings.EqualFold(name, "Cookie") }
	if slices.Contains(l.loaded.HTTP.CORS.Origins, "*") && slices.ContainsFunc(a.Hook.Headers, isCookie) {
		l.contradict("auth.hook.headers", "has Cookie, and http.cors.origins is `*`, so that every page could publish with the cookies of its visitors: list the origins of your pages")
	}
	if h := &l.loaded.Events; (h.URL == "") != (h.SecretFile == "") {
		l.contradict("events.url", "and events.secret_file go together: set both, or none")
	}
	if t := &l.loaded.HTTP.TLS; (t.Cert == "") != (t.Key == "") {
		l.contradict("http.tls.cert", "and http.tls.key go together: set both, or none")
	}
}

// checkNoRedis reports settings of Redis without redis.addresses. A value that is
// the default is allowed, as `config print` writes it.
func (l *loader) checkNoRedis() {
	if l.loaded.Redis.Required {
		l.contradict("redis.required", "is true, and redis.addresses is empty: name a Redis there as host:port, or set this to false for a node with a broker of its own, whose messages no other node gets")
		return
	}
	for _, s := range table {
		if strings.HasPrefix(s.Key, "redis.") && l.valid(s.Key) && s.text(&l.loaded.Settings) != s.Default {
			l.contradict(s.Key, "has no effect without redis.addresses: set redis.addresses, or remove this setting to use the in-process broker")
		}
	}
}

func (l *loader) checkRedisAddresses() {
	r := &l.loaded.Redis
	if !l.valid("redis.addresses", "redis.master", "redis.db") {
		return
	}
	if slices.ContainsFunc(r.Addresses, isSocket) && (len(r.Addresses) > 1 || r.Master != "") {
		l.contradict("redis.addresses", "has a Unix socket, which must be the only address and excludes redis.master")
	}
	isCluster := r.Cluster || len(r.Addresses) > 1 && r.Master == ""
	if isCluster && r.DB != 0 {
		l.contradict("redis.db", "must be 0 for a Redis Cluster, which redis.cluster or several addresses without redis.master mean")
	}
	if r.Cluster && r.Master != "" {
		l.contradict("redis.cluster", "contradicts redis.master: a Redis Cluster needs no Sentinels")
	}
	if r.Master == "" && (r.SentinelUsername != "" || r.SentinelPassword.Reveal() != "") {
		l.contradict("redis.sentinel_password", "has no effect without redis.master: set redis.master, or remove redis.sentinel_username and redis.sentinel_password")
	}
}

func (l *loader) checkRedisPassword() {
	r := &l.loaded.Redis
	if r.PasswordFile == "" {
		return
	}
	if r.Password.Reveal() != "" {
		l.contradict("redis.password_file", "contradicts redis.password: set only one of them")
	}
	if _, err := l.loaded.RedisPassword(); err != nil {
		l.contradict("redis.password_file", "cannot be read: "+cause(err).Error())
	}
}

func (l *loader) checkRedisTLS() {
	if !l.valid("redis.tls.enabled") {
		return
	}
	t := &l.loaded.Redis.TLS
	const needsTLS = "has no effect without TLS: set redis.tls.enabled to true, or remove this setting"
	if t.CA != "" && !t.Enabled {
		l.contradict("redis.tls.ca", needsTLS)
	}
	if t.ServerName != "" && !t.Enabled {
		l.contradict("redis.tls.server_name", needsTLS)
	}
	if (t.Cert == "") != (t.Key == "") {
		l.contradict("redis.tls.cert", "and redis.tls.key go together: set both, or none")
		return
	}
	if t.Cert != "" && !t.Enabled {
		l.contradict("redis.tls.cert", needsTLS)
	}
	if !t.Enabled {
		return
	}
	if _, err := t.roots(); err != nil {
		l.contradict("redis.tls.ca", "cannot be used: "+cause(err).Error())
	}
	if t.Cert != "" {
		if _, err := t.certificate(nil); err != nil {
			l.contradict("redis.tls.cert", "cannot be used with redis.tls.key: "+cause(err).Error())
		}
	}
}

func (l *loader) valid(keys ...string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool { return l.failed[key] })
}

func (l *loader) contradict(key, message string) {
	s := setting(key)
	l.fail(s, s.text(&l.loaded.Settings), message)
}
