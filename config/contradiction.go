package config

import (
	"slices"
	"strings"
)

// checkContradictions reports settings that are valid each and wrong together.
// A key that failed is not judged again.
func (l *loader) checkContradictions() {
	if l.valid("http.listen", "auth.anonymous.subscribe", "auth.anonymous.publish") && l.loaded.Open() && !isLoopback(l.loaded.HTTP.Listen) {
		l.contradict("http.listen", "lets other machines in while nothing says who may subscribe and publish: "+
			"set auth.anonymous.subscribe and auth.anonymous.publish, as in [\"public/**\"], or [\"**\"] to let everyone in, or listen on 127.0.0.1")
	}
	if l.valid("redis.addresses") && len(l.loaded.Redis.Addresses) == 0 {
		l.checkNoRedis()
		return
	}
	l.checkRedisAddresses()
	l.checkRedisPassword()
	l.checkRedisTLS()
}

// checkNoRedis reports what is set for a Redis that there is not. A default
// that was written down is not a contradiction: `config print` does so.
func (l *loader) checkNoRedis() {
	for _, s := range table {
		if strings.HasPrefix(s.Key, "redis.") && l.valid(s.Key) && s.text(&l.loaded.Settings) != s.Default {
			l.contradict(s.Key, "is of no use without redis.addresses: set that, or remove this for the in-process broker")
		}
	}
}

func (l *loader) checkRedisAddresses() {
	r := &l.loaded.Redis
	if !l.valid("redis.addresses", "redis.master", "redis.db") {
		return
	}
	if slices.ContainsFunc(r.Addresses, isSocket) && (len(r.Addresses) > 1 || r.Master != "") {
		l.contradict("redis.addresses", "has a Unix socket, which must be the only address and goes with no redis.master")
	}
	isCluster := r.Cluster || len(r.Addresses) > 1 && r.Master == ""
	if isCluster && r.DB != 0 {
		l.contradict("redis.db", "goes with one address or with redis.master: redis.cluster, or several addresses, is a Redis Cluster, which has only database 0")
	}
	if r.Cluster && r.Master != "" {
		l.contradict("redis.cluster", "contradicts redis.master: a Redis Cluster needs no Sentinels")
	}
	if r.Master == "" && (r.SentinelUsername != "" || r.SentinelPassword.Reveal() != "") {
		l.contradict("redis.sentinel_password", "is of no use without redis.master: set that, or remove this and redis.sentinel_username")
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
	const needsTLS = "is of no use without TLS: set redis.tls.enabled to true, or remove this"
	if t.CA != "" && !t.Enabled {
		l.contradict("redis.tls.ca", needsTLS)
	}
	if t.ServerName != "" && !t.Enabled {
		l.contradict("redis.tls.server_name", needsTLS)
	}
	if _, err := l.loaded.RedisTLS(); err != nil {
		l.contradict("redis.tls.ca", "cannot be used: "+cause(err).Error())
	}
}

func (l *loader) valid(keys ...string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool { return l.failed[key] })
}

func (l *loader) contradict(key, message string) {
	s := setting(key)
	l.fail(s, s.text(&l.loaded.Settings), message)
}
